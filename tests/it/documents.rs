//! docs/testing.md names tests that exist.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_page_names_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(folder.join("../docs/testing.md")).unwrap();
    // Blocks are commands.
    let prose = page.split("```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let names: Vec<&str> = quoted.filter(|word| word.contains("::")).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let (module, test) = name.rsplit_once("::").unwrap();
        let module = folder.join("it").join(module.replace("::", "/"));
        let file =
            Some(module.with_extension("rs")).filter(|file| file.exists()).unwrap_or_else(|| module.join("mod.rs"));
        let source = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
        let is_there =
            source.contains(&format!("#[test]\nfn {test}()")) || source.contains(&format!("async fn {test}()"));
        assert!(is_there, "{name} is not in {}", file.display());
    }
}

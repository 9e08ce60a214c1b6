//! Families of samples as text, line by line: 100,000 partitions take the memory of their lines and no more.

use std::fmt::{Display, Write as _};

/// A text that families are added to.
#[derive(Debug)]
pub(super) struct Sheet(String);

/// What a family's values are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

impl Sheet {
    pub(super) fn after(text: String) -> Sheet {
        Sheet(text)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Adds a family: the names of its labels, then the values of its labels and its own for each sample. One without
    /// samples is left out.
    pub(super) fn family<'a, const LABELS: usize, V: Display>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        labels: [&str; LABELS],
        samples: impl IntoIterator<Item = ([&'a dyn Display; LABELS], V)>,
    ) {
        let before = self.0.len();
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let head = self.0.len();
        for (values, value) in samples {
            self.put(format_args!("{name}"));
            for (at, (label, text)) in labels.iter().zip(values).enumerate() {
                self.put(format_args!("{}{label}=\"", if at == 0 { '{' } else { ',' }));
                self.escape(text);
                self.0.push('"');
            }
            self.put(format_args!("{} {value}\n", if LABELS == 0 { "" } else { "}" }));
        }
        if self.0.len() == head {
            self.0.truncate(before);
        }
    }

    /// A family of one sample without labels.
    pub(super) fn one(&mut self, family: (&str, Kind, &str), value: impl Display) {
        self.family(family, [], [([], value)]);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.0.write_fmt(text);
    }

    /// A label's value: group names may hold anything.
    fn escape(&mut self, text: &dyn Display) {
        let from = self.0.len();
        self.put(format_args!("{text}"));
        if self.0[from..].contains(['\\', '"', '\n']) {
            let escaped = self.0[from..].replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.0.truncate(from);
            self.0.push_str(&escaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_lines_and_labels_are_escaped() {
        let mut sheet = Sheet::after("before 1\n".to_owned());
        sheet.family(("a", Kind::Gauge, "A."), ["x", "y"], [([&"q\"b\\n\n" as &dyn Display, &7], 1.5)]);
        sheet.family(("b", Kind::Gauge, "None."), ["x"], std::iter::empty::<([&dyn Display; 1], u8)>());
        sheet.one(("c_total", Kind::Counter, "C."), 3);
        let text = "before 1\n# HELP a A.\n# TYPE a gauge\na{x=\"q\\\"b\\\\n\\n\",y=\"7\"} 1.5\n\
            # HELP c_total C.\n# TYPE c_total counter\nc_total 3\n";
        assert_eq!(sheet.into_text(), text);
    }
}

//! Functions of numbers. Logarithms and powers are calculated in Rust, not by the system, so that all replicas agree.

use super::Parameter::{Double, Number, Same, Whole};
use super::{Function, Returns, Values, double, function, whole};
use crate::expr::Failed;
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    function(&["ABS"], &[Number], Returns::First, abs, ("ABS(-3)", "3")),
    function(&["CEIL", "CEILING"], &[Number], Returns::First, |v| each(v, f64::ceil), ("CEIL(1.2)", "2.0")),
    function(&["FLOOR"], &[Number], Returns::First, |v| each(v, f64::floor), ("FLOOR(-1.2)", "-2.0")),
    Function {
        required: 1,
        ..function(&["ROUND"], &[Number, Whole], Returns::First, round, ("ROUND(2.345, 2)", "2.35"))
    },
    Function {
        required: 1,
        ..function(&["TRUNC", "TRUNCATE"], &[Number, Whole], Returns::First, truncate, ("TRUNC(2.349, 2)", "2.34"))
    },
    function(&["SQRT"], &[Double], Returns::Double, |v| checked("SQRT", v, double(v, 0).sqrt()), ("SQRT(9)", "3.0")),
    function(
        &["CBRT"],
        &[Double],
        Returns::Double,
        |v| checked("CBRT", v, libm::cbrt(double(v, 0))),
        ("CBRT(27)", "3.0"),
    ),
    function(&["LN"], &[Double], Returns::Double, |v| checked("LN", v, libm::log(double(v, 0))), ("LN(1)", "0.0")),
    function(
        &["LOG10"],
        &[Double],
        Returns::Double,
        |v| checked("LOG10", v, libm::log10(double(v, 0))),
        ("LOG10(1000)", "3.0"),
    ),
    function(
        &["LOG2"],
        &[Double],
        Returns::Double,
        |v| checked("LOG2", v, libm::log2(double(v, 0))),
        ("LOG2(8)", "3.0"),
    ),
    Function { required: 1, ..function(&["LOG"], &[Double, Double], Returns::Double, log, ("LOG(2, 8)", "3.0")) },
    function(&["EXP"], &[Double], Returns::Double, |v| checked("EXP", v, libm::exp(double(v, 0))), ("EXP(0)", "1.0")),
    function(
        &["POWER", "POW"],
        &[Double, Double],
        Returns::Double,
        |v| checked("POWER", v, libm::pow(double(v, 0), double(v, 1))),
        ("POWER(2, 10)", "1024.0"),
    ),
    function(&["SIN"], &[Double], Returns::Double, |v| checked("SIN", v, libm::sin(double(v, 0))), ("SIN(0)", "0.0")),
    function(&["COS"], &[Double], Returns::Double, |v| checked("COS", v, libm::cos(double(v, 0))), ("COS(0)", "1.0")),
    function(&["TAN"], &[Double], Returns::Double, |v| checked("TAN", v, libm::tan(double(v, 0))), ("TAN(0)", "0.0")),
    function(
        &["ASIN"],
        &[Double],
        Returns::Double,
        |v| checked("ASIN", v, libm::asin(double(v, 0))),
        ("ASIN(0)", "0.0"),
    ),
    function(
        &["ACOS"],
        &[Double],
        Returns::Double,
        |v| checked("ACOS", v, libm::acos(double(v, 0))),
        ("ACOS(1)", "0.0"),
    ),
    function(
        &["ATAN"],
        &[Double],
        Returns::Double,
        |v| checked("ATAN", v, libm::atan(double(v, 0))),
        ("ATAN(0)", "0.0"),
    ),
    function(
        &["ATAN2"],
        &[Double, Double],
        Returns::Double,
        |v| checked("ATAN2", v, libm::atan2(double(v, 0), double(v, 1))),
        ("ATAN2(0, 1)", "0.0"),
    ),
    function(
        &["RADIANS"],
        &[Double],
        Returns::Double,
        |v| checked("RADIANS", v, double(v, 0).to_radians()),
        ("RADIANS(0)", "0.0"),
    ),
    function(
        &["DEGREES"],
        &[Double],
        Returns::Double,
        |v| checked("DEGREES", v, double(v, 0).to_degrees()),
        ("DEGREES(0)", "0.0"),
    ),
    function(
        &["GEO_DISTANCE"],
        &[Double, Double, Double, Double],
        Returns::Double,
        geo_distance,
        ("ROUND(GEO_DISTANCE(59.91, 10.75, 60.39, 5.32))", "305.0"),
    ),
    function(&["SIGN"], &[Number], Returns::Integer, |v| Ok(Value::Int(sign(double(v, 0)))), ("SIGN(-2.5)", "-1")),
    function(&["MOD"], &[Whole, Whole], Returns::BigInt, modulo, ("MOD(7, 3)", "1")),
    Function {
        required: 1,
        variadic: true,
        takes_null: true,
        ..function(
            &["GREATEST"],
            &[Same],
            Returns::First,
            |v| Ok(extreme(v, std::cmp::Ordering::Greater)),
            ("GREATEST(1, 3, 2)", "3"),
        )
    },
    Function {
        required: 1,
        variadic: true,
        takes_null: true,
        ..function(
            &["LEAST"],
            &[Same],
            Returns::First,
            |v| Ok(extreme(v, std::cmp::Ordering::Less)),
            ("LEAST(1, 3, 2)", "1"),
        )
    },
];

fn checked(name: &str, values: Values<'_, '_>, result: f64) -> Result<Value, Failed> {
    if result.is_finite() {
        return Ok(Value::Double(result));
    }
    let arguments: Vec<String> = (0..values.len()).map(|at| double(values, at).to_string()).collect();
    Err(Failed::new(format!("{name}({}) is no number", arguments.join(", "))))
}

fn abs(values: Values<'_, '_>) -> Result<Value, Failed> {
    match values[0].as_ref() {
        Value::Int(int) => {
            int.checked_abs().map(Value::Int).ok_or_else(|| Failed::new(format!("ABS({int}) overflows")))
        }
        _ => Ok(Value::Double(double(values, 0).abs())),
    }
}

/// A function that leaves whole numbers as they are.
fn each(values: Values<'_, '_>, of: fn(f64) -> f64) -> Result<Value, Failed> {
    Ok(match values[0].as_ref() {
        Value::Double(double) => Value::Double(of(*double)),
        whole => whole.clone(),
    })
}

fn scaled(values: Values<'_, '_>, of: fn(f64) -> f64) -> Result<Value, Failed> {
    let digits = whole(values, 1).unwrap_or(0).clamp(-18, 18) as i32;
    let number = match values[0].as_ref() {
        Value::Double(double) => *double,
        Value::Int(int) if digits < 0 => {
            // Doubles hold all whole numbers up to 2^53.
            return Ok(Value::Int(scale(*int as f64, digits, of)? as i64));
        }
        whole => return Ok(whole.clone()),
    };
    scale(number, digits, of).map(Value::Double)
}

fn scale(number: f64, digits: i32, of: fn(f64) -> f64) -> Result<f64, Failed> {
    // Powers of ten up to 10^18 are exact, and so is their text.
    let power = (0..digits.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
    let result = if digits >= 0 { of(number * power) / power } else { of(number / power) * power };
    if result.is_finite() { Ok(result) } else { Ok(number) }
}

/// Half away from zero for positive, as SQL has it.
fn round(values: Values<'_, '_>) -> Result<Value, Failed> {
    scaled(values, f64::round)
}

fn truncate(values: Values<'_, '_>) -> Result<Value, Failed> {
    scaled(values, f64::trunc)
}

fn log(values: Values<'_, '_>) -> Result<Value, Failed> {
    if values.len() == 1 {
        return checked("LOG", values, libm::log(double(values, 0)));
    }
    let (base, of) = (double(values, 0), double(values, 1));
    checked("LOG", values, if base == 2.0 { libm::log2(of) } else { libm::log(of) / libm::log(base) })
}

/// Kilometres between two places given by latitude and longitude, on a sphere.
fn geo_distance(values: Values<'_, '_>) -> Result<Value, Failed> {
    let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|at| double(values, at).to_radians());
    let half = |a: f64, b: f64| {
        let sin = libm::sin((b - a) / 2.0);
        sin * sin
    };
    let a = half(lat1, lat2) + libm::cos(lat1) * libm::cos(lat2) * half(lon1, lon2);
    checked("GEO_DISTANCE", values, 6371.0 * 2.0 * libm::asin(a.min(1.0).sqrt()))
}

fn sign(of: f64) -> i64 {
    i64::from(of > 0.0) - i64::from(of < 0.0)
}

fn modulo(values: Values<'_, '_>) -> Result<Value, Failed> {
    match (whole(values, 0), whole(values, 1)) {
        (Some(a), Some(b)) => {
            a.checked_rem(b).map(Value::Int).ok_or_else(|| Failed::new(format!("MOD({a}, {b}) is no number")))
        }
        _ => Ok(Value::Null),
    }
}

fn extreme(values: Values<'_, '_>, side: std::cmp::Ordering) -> Value {
    let mut best = &Value::Null;
    for value in values.iter().map(AsRef::as_ref).filter(|value| !value.is_null()) {
        if best.is_null() || value.cmp(best) == side {
            best = value;
        }
    }
    best.clone()
}

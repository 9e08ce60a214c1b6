//! Kafka's own serializers: one primitive, numbers big endian.

use super::json::Fields;
use crate::value::{Type, Value};

/// Whether there is a serializer for it.
pub(super) fn can_hold(of: &Type) -> bool {
    matches!(of, Type::Integer | Type::BigInt | Type::Double | Type::String | Type::Bytes | Type::Boolean)
}

pub(super) fn read(bytes: &[u8], fields: &Fields, row: &mut [Value]) -> Result<(), String> {
    for field in fields.iter() {
        row[field.row] = primitive(bytes, &field.of).map_err(|why| format!("field '{}': {why}", field.name))?;
    }
    Ok(())
}

/// One value.
pub(super) fn primitive(bytes: &[u8], of: &Type) -> Result<Value, String> {
    let wrong = |_| format!("expected {of}, found {} bytes", bytes.len());
    Ok(match of {
        Type::Integer => Value::Int(i32::from_be_bytes(bytes.try_into().map_err(wrong)?).into()),
        Type::BigInt | Type::Timestamp => Value::Int(i64::from_be_bytes(bytes.try_into().map_err(wrong)?)),
        Type::Double => Value::Double(f64::from_be_bytes(bytes.try_into().map_err(wrong)?)),
        Type::Boolean => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(format!("expected {of}, found {} bytes", bytes.len())),
        },
        Type::Bytes => Value::Bytes(bytes.into()),
        _ => {
            let text =
                std::str::from_utf8(bytes).map_err(|_| format!("expected {of}, found bytes that are no UTF-8"))?;
            Value::string(text)
        }
    })
}

/// Writes one value; nothing where it is null.
pub(super) fn write(value: &Value, of: &Type, out: &mut Vec<u8>) {
    match (value, of) {
        (Value::Int(int), Type::Integer) => out.extend_from_slice(&(*int as i32).to_be_bytes()),
        (Value::Int(int), _) => out.extend_from_slice(&int.to_be_bytes()),
        (Value::Double(double), _) => out.extend_from_slice(&double.to_be_bytes()),
        (Value::Bool(bool), _) => out.push(u8::from(*bool)),
        (Value::String(text), _) => out.extend_from_slice(text.as_bytes()),
        (Value::Bytes(bytes), _) => out.extend_from_slice(bytes),
        _ => {}
    }
}

//! How a value stands in a file.

use super::cursor::{Cursor, Fault};
use super::error::GgufProblem;
use super::value::{Array, StringArray, Value, ValueType};

/// How deep arrays may stand in arrays; llama.cpp reads none in another at all.
pub(super) const DEPTH_LIMIT: u32 = 4;

/// Bytes that a value of the type has at least.
fn least_bytes(value_type: ValueType) -> u64 {
    match value_type {
        ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
        ValueType::U16 | ValueType::I16 => 2,
        ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
        ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
        // The type and the number of its elements.
        ValueType::Array => 12,
    }
}

fn read_type(cursor: &mut Cursor<'_>) -> Result<ValueType, Fault> {
    let offset = cursor.position();
    let id = cursor.u32()?;
    ValueType::of_id(id).ok_or(Fault {
        offset,
        problem: GgufProblem::ValueType(id),
    })
}

/// Reads a type and a value of it.
pub(super) fn read_value(cursor: &mut Cursor<'_>) -> Result<Value, Fault> {
    Ok(match read_type(cursor)? {
        ValueType::U8 => Value::U8(cursor.number(u8::from_le_bytes)?),
        ValueType::I8 => Value::I8(cursor.number(i8::from_le_bytes)?),
        ValueType::U16 => Value::U16(cursor.number(u16::from_le_bytes)?),
        ValueType::I16 => Value::I16(cursor.number(i16::from_le_bytes)?),
        ValueType::U32 => Value::U32(cursor.u32()?),
        ValueType::I32 => Value::I32(cursor.number(i32::from_le_bytes)?),
        ValueType::F32 => Value::F32(cursor.number(f32::from_le_bytes)?),
        ValueType::Bool => Value::Bool(read_bools(cursor, 1)?[0]),
        ValueType::String => Value::String(cursor.string()?.to_owned()),
        ValueType::Array => Value::Array(read_array(cursor, DEPTH_LIMIT)?),
        ValueType::U64 => Value::U64(cursor.u64()?),
        ValueType::I64 => Value::I64(cursor.number(i64::from_le_bytes)?),
        ValueType::F64 => Value::F64(cursor.number(f64::from_le_bytes)?),
    })
}

fn read_array(cursor: &mut Cursor<'_>, depth: u32) -> Result<Array, Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        let limit = DEPTH_LIMIT;
        return Err(cursor.fault(GgufProblem::Depth { limit }));
    };
    let element = read_type(cursor)?;
    let count = cursor.count("values", least_bytes(element))?;
    Ok(match element {
        ValueType::U8 => Array::U8(cursor.numbers(count, u8::from_le_bytes)?),
        ValueType::I8 => Array::I8(cursor.numbers(count, i8::from_le_bytes)?),
        ValueType::U16 => Array::U16(cursor.numbers(count, u16::from_le_bytes)?),
        ValueType::I16 => Array::I16(cursor.numbers(count, i16::from_le_bytes)?),
        ValueType::U32 => Array::U32(cursor.numbers(count, u32::from_le_bytes)?),
        ValueType::I32 => Array::I32(cursor.numbers(count, i32::from_le_bytes)?),
        ValueType::F32 => Array::F32(cursor.numbers(count, f32::from_le_bytes)?),
        ValueType::Bool => Array::Bool(read_bools(cursor, count)?),
        ValueType::String => {
            let mut strings = StringArray::with_capacity(count);
            for _ in 0..count {
                strings.push(cursor.string()?);
            }
            Array::String(strings)
        }
        ValueType::Array => {
            // No room is made beforehand: an array takes several times its bytes in the file.
            let mut arrays = Vec::new();
            for _ in 0..count {
                arrays.push(read_array(cursor, depth)?);
            }
            Array::Array(arrays)
        }
        ValueType::U64 => Array::U64(cursor.numbers(count, u64::from_le_bytes)?),
        ValueType::I64 => Array::I64(cursor.numbers(count, i64::from_le_bytes)?),
        ValueType::F64 => Array::F64(cursor.numbers(count, f64::from_le_bytes)?),
    })
}

fn read_bools(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<bool>, Fault> {
    let start = cursor.position();
    let bytes = cursor.take(count as u64)?;
    let bools = bytes.iter().enumerate().map(|(idx, &byte)| match byte {
        0 | 1 => Ok(byte == 1),
        other => Err(Fault {
            offset: start + idx as u64,
            problem: GgufProblem::Bool(other),
        }),
    });
    bools.collect()
}

/// Appends a string: its length in bytes, then the bytes.
pub(super) fn write_string(string: &str, out: &mut Vec<u8>) {
    out.extend((string.len() as u64).to_le_bytes());
    out.extend(string.as_bytes());
}

/// Appends a type and the value.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    out.extend(value.value_type().id().to_le_bytes());
    match value {
        Value::U8(value) => out.push(*value),
        Value::I8(value) => out.extend(value.to_le_bytes()),
        Value::U16(value) => out.extend(value.to_le_bytes()),
        Value::I16(value) => out.extend(value.to_le_bytes()),
        Value::U32(value) => out.extend(value.to_le_bytes()),
        Value::I32(value) => out.extend(value.to_le_bytes()),
        Value::F32(value) => out.extend(value.to_le_bytes()),
        Value::Bool(value) => out.push((*value).into()),
        Value::String(value) => write_string(value, out),
        Value::Array(value) => write_array(value, out),
        Value::U64(value) => out.extend(value.to_le_bytes()),
        Value::I64(value) => out.extend(value.to_le_bytes()),
        Value::F64(value) => out.extend(value.to_le_bytes()),
    }
}

fn write_array(array: &Array, out: &mut Vec<u8>) {
    out.extend(array.element_type().id().to_le_bytes());
    out.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(values) => out.extend(values),
        Array::I8(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::U16(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::I16(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::U32(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::I32(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::F32(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
        Array::String(values) => values.iter().for_each(|value| write_string(value, out)),
        Array::Array(values) => values.iter().for_each(|value| write_array(value, out)),
        Array::U64(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::I64(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Array::F64(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
}

/// Returns how deep arrays stand in arrays; 0 where there is none.
pub(super) fn depth(value: &Value) -> u32 {
    fn of(array: &Array) -> u32 {
        match array {
            Array::Array(arrays) => 1 + arrays.iter().map(of).max().unwrap_or(0),
            _ => 1,
        }
    }
    value.as_array().map_or(0, of)
}

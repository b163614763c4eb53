use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// Returns a text as an attribute.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    of(key, Value::StringValue(value.into()))
}

/// Returns a whole number as an attribute.
pub(super) fn whole(key: &str, value: u64) -> KeyValue {
    of(
        key,
        Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)),
    )
}

/// Returns a number as an attribute.
pub(super) fn number(key: &str, value: f64) -> KeyValue {
    of(key, Value::DoubleValue(value))
}

/// Returns a list of texts as an attribute.
pub(super) fn strings(key: &str, values: &[&str]) -> KeyValue {
    let values = values.iter().map(|value| AnyValue {
        value: Some(Value::StringValue((*value).to_owned())),
    });
    let values = values.collect();
    of(key, Value::ArrayValue(ArrayValue { values }))
}

/// Returns the status of a span that failed with an error of the type `error`, if it did. The error's
/// text stays out: it may quote what was said.
pub(super) fn status(error: Option<&str>) -> Option<Status> {
    error.map(|_| Status {
        message: String::new(),
        code: StatusCode::Error.into(),
    })
}

fn of(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

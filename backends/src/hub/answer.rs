use reqwest::header::HeaderMap;
use serde_json::Value;

use super::error::HubError;
use crate::Secret;

/// Longest text of an error that is kept.
const MAX_DETAIL: usize = 2000;

/// Returns why the Hub refused: its headers first, then what its body says.
pub(super) fn refusal(
    what: &str,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    token: Option<&Secret>,
) -> HubError {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let mut detail = header("x-error-message").unwrap_or_else(|| said(body));
    if let Some(token) = token {
        detail = token.redact(&detail);
    }
    if detail.len() > MAX_DETAIL {
        let end = (0..=MAX_DETAIL)
            .rev()
            .find(|at| detail.is_char_boundary(*at));
        detail.truncate(end.unwrap_or(0));
    }
    let request = ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"];
    HubError::Refused {
        what: what.to_owned(),
        status,
        code: header("x-error-code"),
        detail,
        request: request.into_iter().find_map(header),
    }
}

/// Returns what a body says of an error, in any of the shapes that the Hub uses.
fn said(body: &[u8]) -> String {
    let plain = || {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.is_empty() || text.starts_with('<') {
            "it says nothing".to_owned()
        } else {
            text.to_owned()
        }
    };
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return plain();
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value, key: Option<&str>| {
        let items = value.as_array()?.iter();
        let texts = items.filter_map(|item| text(key.map_or(item, |key| &item[key])));
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    text(&value["error_description"])
        .or_else(|| text(&value["error"]))
        .or_else(|| list(&value["error"], None))
        .or_else(|| list(&value["errors"], Some("message")))
        .or_else(|| text(&value["message"]))
        .unwrap_or_else(plain)
}

/// Returns the text of a field; errors if it has none.
pub(crate) fn text_of(what: &str, value: &Value, field: &str) -> Result<String, HubError> {
    let text = value.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| HubError::Malformed {
        what: what.to_owned(),
        detail: format!("it has no `{field}`"),
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(r#"{"error": "no"}"#, "no"; "a text")]
    #[test_case(r#"{"error": ["a", "b"]}"#, "a; b"; "texts")]
    #[test_case(r#"{"error": "code", "error_description": "words"}"#, "words"; "a description")]
    #[test_case(r#"{"errors": [{"message": "one"}, {"message": "two"}]}"#, "one; two"; "messages")]
    #[test_case("plain", "plain"; "no JSON")]
    #[test_case("<html>", "it says nothing"; "a page")]
    #[test_case("", "it says nothing"; "nothing")]
    fn errors_are_read_in_every_shape(body: &str, expected: &str) {
        assert_eq!(said(body.as_bytes()), expected);
    }

    #[test]
    fn a_refusal_holds_no_token() {
        let token = Secret::new("hf_secret");
        let body = br#"{"error": "hf_secret is not valid"}"#;
        let error = refusal("look", 401, &HeaderMap::new(), body, Some(&token));
        let text = format!("{error} {error:?}");
        assert!(text.contains("*** is not valid") && !text.contains("hf_secret"));
        assert!(error.mend().unwrap().contains("settings/tokens"));
        assert!(!error.is_missing());
        let mut headers = HeaderMap::new();
        headers.insert("x-error-code", "RepoNotFound".parse().unwrap());
        let unseen = refusal("look", 401, &headers, b"", None);
        assert!(unseen.is_missing() && unseen.mend().unwrap().contains("private"));
    }
}

use serde::Serialize;
use serde_json::Value;
use shipworthy_schema::{ChatRequest, Message, Role};

/// The body of a call: only what is written here is sent, whatever the client library knows.
///
/// There are no stop strings (a reasoning model may write one while it thinks) and no empty fields
/// (vLLM refuses `tools: []`).
#[derive(Debug, Serialize)]
pub(super) struct RequestBody<'a> {
    model: &'a str,
    messages: &'a [Message],
    temperature: f64,
    top_p: f64,
    top_k: u32,
    min_p: f64,
    max_tokens: u32,
    seed: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Debug, Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Debug, Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a Value,
    strict: bool,
}

impl<'a> RequestBody<'a> {
    /// Returns the body that asks `model` for `request`, or what is wrong with the request.
    pub(super) fn new(model: &'a str, request: &'a ChatRequest) -> Result<Self, &'static str> {
        match request.messages.last().map(|message| message.role) {
            None => return Err("it has no messages"),
            // llama-server would continue that message instead of answering it.
            Some(Role::Assistant) => return Err("its last message is the assistant's own"),
            Some(Role::System | Role::User) => {}
        }
        let sampling = &request.sampling;
        Ok(Self {
            model,
            messages: &request.messages,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            max_tokens: sampling.max_tokens,
            seed: fold_seed(sampling.seed),
            stream: false,
            response_format: request
                .response_schema
                .as_ref()
                .map(|wanted| ResponseFormat {
                    r#type: "json_schema",
                    json_schema: JsonSchema {
                        name: &wanted.name,
                        schema: &wanted.schema,
                        strict: true,
                    },
                }),
        })
    }
}

/// Folds a seed into 31 bits, leaving those that fit as they are.
///
/// llama-server keeps 32 bits and reads 0xffffffff as "draw one"; vLLM refuses more than 63.
fn fold_seed(seed: u64) -> u32 {
    const MASK: u64 = 0x7fff_ffff;
    let folded = (seed ^ (seed >> 31) ^ (seed >> 62)) & MASK;
    u32::try_from(folded).expect("31 bits fit into 32")
}

#[cfg(test)]
mod tests {
    use super::fold_seed;

    #[test]
    fn seeds_fit_every_server() {
        assert_eq!(fold_seed(0), 0);
        assert_eq!(fold_seed(7), 7);
        assert_eq!(fold_seed(0x7fff_ffff), 0x7fff_ffff);
        // The value llama-server takes for "random" cannot come out, and high bits count.
        assert_ne!(fold_seed(0xffff_ffff), fold_seed(0x7fff_ffff));
        assert_ne!(fold_seed(1 << 63), fold_seed(0));
        assert_ne!(fold_seed(1 << 40), fold_seed(1 << 41));
    }
}

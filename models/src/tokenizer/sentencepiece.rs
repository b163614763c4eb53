use std::path::Path;

use prost::Message as _;
use serde_json::{Map, Value};

use super::added_tokens::{ADDED_SCORE, added, unused};
use super::error::{TokenizerError, TokenizerProblem, shortened};
use super::sentencepiece_model::{ModelKind, ModelProto, PieceKind};
use super::tokenizer_config::TokenizerConfig;
use super::tokenizer_json::TokenizerJson;
use super::vocabulary::{Token, TokenKind, Tokens, VocabularyModel};
use crate::{bounded_file, json_file};

/// SentencePiece's own file.
pub(super) const FILE: &str = "tokenizer.model";
/// Ids of added tokens, as old checkpoints have them.
const ADDED: &str = "added_tokens.json";

/// Reads `tokenizer.model`, and the tokens that the other files add to it.
///
/// Tokens beyond `vocab_size` are left out: some checkpoints have more tokens than rows.
pub(super) fn read(
    path: &Path,
    directory: &Path,
    config: &TokenizerConfig,
    json: Option<&TokenizerJson>,
    vocab_size: usize,
) -> Result<Tokens, TokenizerError> {
    let bytes = bounded_file::read(path, json_file::TABLE_LIMIT)?;
    let mut tokens = pieces(path, &bytes, vocab_size)?;
    for id in tokens.len()..vocab_size {
        tokens.push(unused(id, true));
    }
    for (content, id) in old_added_tokens(directory)? {
        if let Some(slot) = tokens.get_mut(id) {
            *slot = Token {
                text: content,
                kind: TokenKind::UserDefined,
                score: Some(ADDED_SCORE),
            };
        }
    }
    let mut add = |id: u32, content: &str, special: bool, over_roles: bool| {
        if let Some(slot) = tokens.get_mut(id as usize) {
            if !over_roles && slot.text == content && slot.kind != TokenKind::Normal {
                return;
            }
            let (kind, text) = added(content, special);
            *slot = Token {
                text,
                kind,
                score: Some(ADDED_SCORE),
            };
        }
    };
    if let Some(listed) = config.added_tokens()? {
        for (id, token) in &listed {
            add(*id, &token.content, token.special, true);
        }
    } else if let Some(json) = json {
        // Where transformers 5 says what is added; what has a role keeps it, as with the converter.
        for token in &json.added_tokens {
            add(token.id, &token.content, token.special, false);
        }
    }
    Ok(Tokens {
        model: VocabularyModel::Llama,
        pre: "default",
        list: tokens,
        merges: Vec::new(),
        unlisted_merges: 0,
        space_prefix: None,
    })
}

fn pieces(path: &Path, bytes: &[u8], vocab_size: usize) -> Result<Vec<Token>, TokenizerError> {
    let model = ModelProto::decode(bytes).map_err(|source| TokenizerError::SentencePiece {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |field: String, problem| TokenizerError::field(path, field, problem);
    let algorithm = model.trainer_spec.as_ref().and_then(|spec| spec.model_type);
    // Unigram is what SentencePiece takes for granted; llama.cpp would merge it like BPE.
    let algorithm = algorithm.unwrap_or(ModelKind::Unigram as i32);
    if model.pieces.is_empty() {
        return Err(wrong("pieces".to_owned(), TokenizerProblem::NoPieces));
    }
    if algorithm != ModelKind::Bpe as i32 {
        let found = match ModelKind::try_from(algorithm) {
            Ok(kind) => format!("a {kind:?} model"),
            Err(_) => format!("a model of type {algorithm}"),
        };
        let problem = TokenizerProblem::Unsupported { found };
        return Err(wrong("trainer_spec.model_type".to_owned(), problem));
    }
    let pieces = model.pieces.into_iter().take(vocab_size);
    let tokens = pieces.enumerate().map(|(id, piece)| {
        let text = piece.text.unwrap_or_default();
        let score = piece.score.unwrap_or(0.0);
        if !score.is_finite() {
            let problem = TokenizerProblem::Score {
                token: shortened(&text),
                found: score,
            };
            return Err(wrong(format!("pieces[{id}].score"), problem));
        }
        let kind = match piece
            .kind
            .map_or(Ok(PieceKind::Normal), PieceKind::try_from)
        {
            Ok(PieceKind::Unknown) => TokenKind::Unknown,
            Ok(PieceKind::Control) => TokenKind::Control,
            Ok(PieceKind::Unused) => TokenKind::Unused,
            Ok(PieceKind::Byte) => TokenKind::Byte,
            // What users may write is said again where tokens are added.
            Ok(PieceKind::Normal | PieceKind::UserDefined) => TokenKind::Normal,
            Err(_) => {
                let kind = piece.kind.unwrap_or_default();
                let problem = TokenizerProblem::Type {
                    expected: "a kind of piece from 1 to 6",
                    found: kind.to_string(),
                };
                return Err(wrong(format!("pieces[{id}].type"), problem));
            }
        };
        Ok(Token {
            text,
            kind,
            score: Some(score),
        })
    });
    tokens.collect()
}

fn old_added_tokens(directory: &Path) -> Result<Vec<(String, usize)>, TokenizerError> {
    let path = directory.join(ADDED);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let fields: Map<String, Value> = json_file::read(&path)?;
    let tokens = fields.into_iter().map(|(content, value)| {
        let id = value.as_u64().and_then(|id| usize::try_from(id).ok());
        let id = id.ok_or_else(|| {
            let problem = TokenizerProblem::wrong_type("an id", &value);
            TokenizerError::field(&path, shortened(&content), problem)
        })?;
        Ok((content, id))
    });
    tokens.collect()
}

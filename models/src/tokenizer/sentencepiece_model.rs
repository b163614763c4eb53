use prost::Message;

/// What of a SentencePiece model (`sentencepiece_model.proto`) a vocabulary needs.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    /// The tokens, in the order of their ids.
    #[prost(message, repeated, tag = "1")]
    pub(super) pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    pub(super) trainer_spec: Option<TrainerSpec>,
}

/// One token.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Piece {
    #[prost(string, optional, tag = "1")]
    pub(super) text: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(super) score: Option<f32>,
    #[prost(enumeration = "PieceKind", optional, tag = "3")]
    pub(super) kind: Option<i32>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum PieceKind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// How the model was trained.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TrainerSpec {
    #[prost(enumeration = "ModelKind", optional, tag = "3")]
    pub(super) model_type: Option<i32>,
}

/// The algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ModelKind {
    Unigram = 1,
    Bpe = 2,
    Word = 3,
    Char = 4,
}

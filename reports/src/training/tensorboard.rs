//! `TensorBoard`'s event files: protocol buffers in the framing of `TFRecord`.

use prost::Message;
use shipworthy_schema::TrainingLogEntry;

/// The version of the format that says: steps after a restart take the place of those before it.
const FILE_VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus.START`.
const SESSION_START: i32 = 1;

/// `tensorflow.Event`, the fields that we write.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

/// `tensorflow.Summary.Value` that is a number.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, so that a 0 is written like any other number.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Returns the name of an event file that begins at `wall_time_s`, in seconds since 1970.
///
/// Files of one directory are read in order of their names; `writer` tells apart two of one second.
/// Characters of it other than letters, digits, `-` and `_` are left out.
pub fn tensorboard_file_name(wall_time_s: u64, writer: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let writer: String = writer.chars().filter(is_plain).collect();
    format!("events.out.tfevents.{wall_time_s:010}.{writer}")
}

/// Returns how an event file begins.
///
/// `resumed_at`: with training resumed after so many steps, what other files of the directory say of
/// later steps no longer counts.
pub fn tensorboard_head(wall_time_s: f64, resumed_at: Option<u64>) -> Vec<u8> {
    let mut bytes = record(&Event {
        wall_time: wall_time_s,
        file_version: Some(FILE_VERSION.to_owned()),
        ..Event::default()
    });
    if let Some(steps) = resumed_at {
        bytes.extend(record(&Event {
            wall_time: wall_time_s,
            step: signed(steps.saturating_add(1)),
            session_log: Some(SessionLog {
                status: SESSION_START,
            }),
            ..Event::default()
        }));
    }
    bytes
}

/// Returns what an event file gets for one entry of the log: its numbers as scalars, under the tags of
/// transformers (`train/loss`, `eval/loss`).
pub fn tensorboard_scalars(entry: &TrainingLogEntry, wall_time_s: f64) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the format has single precision"
    )]
    let value = |(tag, value): (&str, f64)| Value {
        tag: tag.to_owned(),
        simple_value: Some(value as f32),
    };
    record(&Event {
        wall_time: wall_time_s,
        step: signed(entry.step),
        summary: Some(Summary {
            values: scalars(entry).into_iter().map(value).collect(),
        }),
        ..Event::default()
    })
}

fn scalars(entry: &TrainingLogEntry) -> Vec<(&'static str, f64)> {
    let TrainingLogEntry {
        epoch,
        eval_loss,
        eval_runtime,
        eval_samples_per_second,
        grad_norm,
        learning_rate,
        loss,
        memory_bytes,
        step: _,
        tokens_per_second,
        total_flos,
        train_loss,
        train_runtime,
        train_samples_per_second,
        train_steps_per_second,
    } = entry;
    let tagged = [
        ("train/loss", *loss),
        ("train/grad_norm", *grad_norm),
        ("train/learning_rate", *learning_rate),
        ("train/tokens_per_second", *tokens_per_second),
        ("train/memory_bytes", memory_bytes.map(|n| n as f64)),
        ("eval/loss", *eval_loss),
        ("eval/runtime", *eval_runtime),
        ("eval/samples_per_second", *eval_samples_per_second),
        ("train/train_runtime", *train_runtime),
        ("train/train_samples_per_second", *train_samples_per_second),
        ("train/train_steps_per_second", *train_steps_per_second),
        ("train/total_flos", *total_flos),
        ("train/train_loss", *train_loss),
        ("train/epoch", Some(*epoch)),
    ];
    let known = tagged.into_iter();
    known
        .filter_map(|(tag, value)| Some((tag, value?)))
        .collect()
}

fn signed(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

/// Frames a message: its length (8 bytes), the length's checksum, the message, its checksum; all little
/// endian.
fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend(length);
    bytes.extend(masked_crc32c(&length).to_le_bytes());
    bytes.extend(&data);
    bytes.extend(masked_crc32c(&data).to_le_bytes());
    bytes
}

/// Returns the CRC-32C of `bytes`, turned and shifted as `TFRecord` wants it, so that the checksum of data
/// that holds checksums stays a good one.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Returns the CRC-32C (Castagnoli, RFC 3720) of `bytes`.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let idx = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ CRC32C[idx as usize]
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// The remainder of every byte, by the reversed polynomial.
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is below 256, and there is no other conversion in a constant"
        )]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{crc32c, tensorboard_file_name, tensorboard_head};

    /// The check value of the algorithm, and RFC 3720, B.4.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_file_begins_as_tensorboard_expects() {
        let head = tensorboard_head(0.0, None);
        assert_eq!(head[..8], 15u64.to_le_bytes());
        assert_eq!(head[12..27], *b"\x1a\x0dbrain.Event:2");
        assert_eq!(head.len(), 31);
        let name = tensorboard_file_name(1_790_000_000, "../a b");
        assert_eq!(name, "events.out.tfevents.1790000000.ab");
    }
}

use test_case::test_case;

use super::*;
use crate::testing::{assert_close, assert_gradient, random};

const SEQUENCES: [Range<usize>; 3] = [0..70, 70..73, 73..150];

fn attention(window: Option<usize>, key_heads: usize) -> Attention {
    Attention {
        num_attention_heads: 4,
        num_key_value_heads: key_heads,
        head_dim: 8,
        scale: 0.4,
        window,
    }
}

#[test_case(None, 4; "every head has its keys")]
#[test_case(None, 2; "heads share keys")]
#[test_case(Some(9), 1; "a window")]
#[test_case(Some(70), 2; "a window longer than a block")]
fn host_and_candle_agree_and_gradients_are_the_slopes(window: Option<usize>, key_heads: usize) {
    let attention = attention(window, key_heads);
    let tokens = 150;
    let query = (random((tokens, 32), 1) * 2.0).unwrap();
    let key = (random((tokens, 8 * key_heads), 2) * 2.0).unwrap();
    let value = random((tokens, 8 * key_heads), 3);
    let upstream = random((tokens, 32), 4);
    let host = attention.forward(&query, &key, &value, &SEQUENCES).unwrap();
    let other = attention
        .forward_anywhere(&query, &key, &value, &SEQUENCES)
        .unwrap();
    assert_close(&host.output, &other.output, 2e-6);
    let inputs = [&query, &key, &value];
    let found = attention
        .backward(inputs, &host, &upstream, &SEQUENCES)
        .unwrap();
    let expected = attention
        .backward_anywhere(inputs, &other, &upstream, &SEQUENCES)
        .unwrap();
    assert_close(&found.query, &expected.query, 1e-5);
    assert_close(&found.key, &expected.key, 1e-5);
    assert_close(&found.value, &expected.value, 1e-5);
    let output = |query: &Tensor, key: &Tensor, value: &Tensor| {
        attention
            .forward(query, key, value, &SEQUENCES)
            .unwrap()
            .output
    };
    assert_gradient(&query, &found.query, &upstream, |query| {
        output(query, &key, &value)
    });
    assert_gradient(&key, &found.key, &upstream, |key| {
        output(&query, key, &value)
    });
    assert_gradient(&value, &found.value, &upstream, |value| {
        output(&query, &key, value)
    });
}

#[test]
fn a_sequence_is_attended_to_as_if_it_were_alone() {
    let attention = attention(None, 2);
    let (query, key) = (random((150, 32), 1), random((150, 16), 2));
    let value = random((150, 16), 3);
    let together = attention.forward(&query, &key, &value, &SEQUENCES).unwrap();
    let narrow = |tensor: &Tensor| tensor.narrow(0, 73, 77).unwrap();
    let alone = std::iter::once(0..77).collect::<Vec<_>>();
    let alone = attention
        .forward(&narrow(&query), &narrow(&key), &narrow(&value), &alone)
        .unwrap();
    assert_close(&narrow(&together.output), &alone.output, 0.0);
}

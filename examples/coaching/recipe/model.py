"""A small Llama: RMSNorm, rotary positions, SwiGLU, embeddings shared with the output."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    """Every size of the model; all widths are multiples of 32 so that Q8_0 can hold them."""

    vocab_size: int
    hidden_size: int = 160
    intermediate_size: int = 416
    num_hidden_layers: int = 4
    num_attention_heads: int = 5
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 1024

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turns neighbouring pairs (2i, 2i+1) of `(batch, heads, seq, head_dim)`.

    llama.cpp pairs neighbours in its `llama` architecture, so the weights need no permutation.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        hidden, inner = config.hidden_size, config.intermediate_size
        self.config = config
        self.attn_norm = nn.RMSNorm(hidden, eps=config.rms_norm_eps)
        self.attn_q = nn.Linear(hidden, hidden, bias=False)
        self.attn_k = nn.Linear(hidden, hidden, bias=False)
        self.attn_v = nn.Linear(hidden, hidden, bias=False)
        self.attn_output = nn.Linear(hidden, hidden, bias=False)
        self.ffn_norm = nn.RMSNorm(hidden, eps=config.rms_norm_eps)
        self.ffn_gate = nn.Linear(hidden, inner, bias=False)
        self.ffn_up = nn.Linear(hidden, inner, bias=False)
        self.ffn_down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, seq, hidden = x.shape
        h = self.attn_norm(x)
        shape = (batch, seq, self.config.num_attention_heads, self.config.head_dim)
        q = rotate(self.attn_q(h).view(shape).transpose(1, 2), cos, sin)
        k = rotate(self.attn_k(h).view(shape).transpose(1, 2), cos, sin)
        v = self.attn_v(h).view(shape).transpose(1, 2)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_output(h.transpose(1, 2).reshape(batch, seq, hidden))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Llama(nn.Module):
    """Token ids `(batch, seq)` in, logits `(batch, seq, vocab)` out."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blk = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.output_norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        nn.init.normal_(self.token_embd.weight, std=0.05)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and name != "token_embd.weight":
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.zeros_(weight)
        half = config.head_dim // 2
        turns = config.rope_theta ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(config.max_position_embeddings), turns)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        seq = tokens.shape[1]
        x = self.token_embd(tokens)
        for block in self.blk:
            x = block(x, self.cos[:seq], self.sin[:seq])
        return F.linear(self.output_norm(x), self.token_embd.weight)

"""Makes tiny tokenizers of every family, what llama.cpp's converter writes for them, and their ids.

    python generate.py LLAMA_CPP

LLAMA_CPP is the folder of llama.cpp's `convert_hf_to_gguf.py`. For each name it writes a checkpoint
directory without weights, and into it

- `metadata.json`: the `tokenizer.*` key-values the converter writes, in its order, with GGUF's types.
  The converter knows a byte-level tokenizer's pre-tokenizer by the hash of the ids of one text, which
  a tiny vocabulary cannot have: `get_vocab_base_pre`, and nothing else, is replaced by the right
  answer. `gemma3_json` has none: the converter refuses Gemma without `tokenizer.model`.
- `ids.json`: transformers' ids of the texts below, without and with the tokens added around them.
  `llama_cpp` says why llama.cpp gives others, where no vocabulary could make it give the same.

Nothing random, no clock: a second run gives the same files.
"""

import copy
import json
import shutil
import sys
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import generate_merges

HERE = Path(__file__).parent
LLAMA_CPP = Path(sys.argv[1])
sys.path.insert(0, str(LLAMA_CPP))
sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))

import gguf  # noqa: E402
from conversion import get_model_class  # noqa: E402

# What the vocabularies are trained on.
CORPUS = [
    "The quick brown fox jumps over the lazy dog. The ship is worthy, and the ship shall sail.",
    "She said that they'd tested the model's answers and that the answers were better than before.",
    "Der schnelle braune Fuchs springt über den faulen Hund. Das Schiff ist seetüchtig.",
    "Die Änderung der Gewichte ist größer als gewöhnlich; überprüfen Sie die Übersetzung.",
    "我们想在这里测试模型。这个模型的回答比以前更好。",
    "النموذج يجيب عن السؤال في هذه المدينة",
    "यह मॉडल पहले से बेहतर उत्तर देता है",
    "def answer(question):\n    return model.generate(question, max_new_tokens=128)\n",
    "for index in range(10):\n\tprint(index, index ** 2)\n\n\treturn None\n",
    "2024 was 12 months long; 3.14159 is 100 times 0.0314159.",
] * 4
# Few characters for SentencePiece: each takes an entry beside the 256 bytes.
NARROW_CORPUS = (CORPUS[:4] + CORPUS[7:10]) * 30 + CORPUS[4:7]

# What is tokenized: llama.cpp has to give the same ids.
TEXTS = [
    "",
    " ",
    "Hello, world!",
    " leading and trailing ",
    "The ship is worthy.",
    "I'LL say they'd, we've and it's; 'tis SHE'S",
    "Die Änderung ist größer als gewöhnlich, Straße.",
    "我们想在这里测试模型。",
    "这个answer比before更好3倍",
    "النموذج يجيب عن السؤال؟",
    "यह मॉडल बेहतर है।",
    "日本語のテキストと한국어 문장",
    "Привет, мир! Ελληνικά",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈 🚀",
    "def f(x):\n    return x ** 2  # comment\n",
    "{\"key\": [1, 2.5, null], \"b\": \"\\n\"}",
    "3 33 333 3333 33333 333333 3.14 1,000,000",
    "a  b   c    d     e",
    "\t\ttabs\tand\t\t\tmore",
    "line\n\n\nlines\r\n\r\nend\n",
    " \n \n\n  \t \n",
    "<s>[INST] text [/INST]</s>",
    "<|im_start|>user\nHi<|im_end|>\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    "<bos><start_of_turn>user\nHi<end_of_turn>\n<unused1><table>",
    "e\u0301 a\u0308 o\u0302\u0323 n\u0303",
    "\u00e9 \ufb01 \u2460 \uff21\uff22",
    "<0x41> <0xFF> \ufffd \x7f \u00ff\u00fe",
    "\u200b\u00a0\u3000x\u2028y",
    "------======= ''''''``````\"\"\"\" ......!!!!!!??????",
    "CamelCaseWord SCREAMING_SNAKE snake_case kebab-case",
    "https://example.org/path?query=1&other=two#part",
    "<tool_call>{\"name\": \"f\"}</tool_call>",
    "\u2581already\u2581escaped \u0120byte",
]

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>\\n' }}{% endfor %}"
)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def added(content, special=True, **options):
    return AddedToken(content, special=special, normalized=False, **options)


def decoder_entry(token):
    return {
        "content": token.content,
        "lstrip": token.lstrip,
        "normalized": token.normalized,
        "rstrip": token.rstrip,
        "single_word": token.single_word,
        "special": token.special,
    }


# --- SentencePiece ---------------------------------------------------------------------------


def train_sentencepiece(folder, vocab_size, **options):
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(line.strip("\n") for line in NARROW_CORPUS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        character_coverage=0.98,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    corpus.unlink()
    (folder / "tokenizer.vocab").unlink()
    # The trainer notes where it read and wrote.
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = proto.ModelProto()
    model.ParseFromString((folder / "tokenizer.model").read_bytes())
    model.trainer_spec.ClearField("input")
    model.trainer_spec.model_prefix = "tokenizer"
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    return model


def bpe_of(model):
    """The vocabulary and merges transformers makes of a SentencePiece model."""
    vocab = {piece.piece: index for index, piece in enumerate(model.pieces)}
    scores = {piece.piece: piece.score for piece in model.pieces}
    return vocab, [tuple(pair) for pair in generate_merges(vocab, scores)]


def llama_post_processor(bos, bos_id):
    return processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, bos_id)]
    )


def llama_tokenizer(model, tokens):
    """tokenizer.json as transformers 4 wrote it for Llama 2 and Mistral."""
    vocab, merges = bpe_of(model)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer.post_processor = llama_post_processor("<s>", 1)
    for token in tokens:
        if token.special:
            tokenizer.add_special_tokens([token])
        else:
            tokenizer.add_tokens([token])
    return tokenizer


def sentencepiece_config(tokenizer, tokens, **more):
    """tokenizer_config.json as transformers 4 wrote it."""
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token.content)): decoder_entry(token) for token in tokens
        },
        "clean_up_tokenization_spaces": False,
        "legacy": True,
        "model_max_length": 2048,
        "sp_model_kwargs": {},
    }
    config.update(more)
    return config


def llama2():
    folder = fresh("llama2")
    model = train_sentencepiece(folder, 400)
    tokens = [added(text) for text in ["<unk>", "<s>", "</s>"]]
    tokens += [added("<|im_start|>"), added("<|im_end|>"), added("<tool_call>", special=False)]
    tokenizer = llama_tokenizer(model, tokens)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = sentencepiece_config(
        tokenizer,
        tokens,
        bos_token={"__type": "AddedToken", **decoder_entry(tokens[1])},
        eos_token="</s>",
        pad_token=None,
        unk_token="<unk>",
        tokenizer_class="LlamaTokenizer",
        chat_template=CHATML,
    )
    write(folder / "tokenizer_config.json", config)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    write(folder / "special_tokens_map.json", names)
    # Two rows more than there are tokens, as after padding to a multiple of 8.
    model_config(folder, "LlamaForCausalLM", "llama", 408, bos_token_id=1, eos_token_id=2)

    # The same, as transformers 5 saves it.
    again = fresh("llama2_json")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
            shutil.copy(folder / name, scratch)
        LlamaTokenizer.from_pretrained(scratch).save_pretrained(again)
    model_config(again, "LlamaForCausalLM", "llama", 408, bos_token_id=1, eos_token_id=[2, 401])
    return ["llama2", "llama2_json"]


def mistral():
    folder = fresh("mistral_json")
    controls = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[control_8]"]
    model = train_sentencepiece(folder, 390, control_symbols=controls)
    tokens = [added(text) for text in ["<unk>", "<s>", "</s>", *controls]]
    tokenizer = llama_tokenizer(model, tokens)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer.model").unlink()
    config = sentencepiece_config(
        tokenizer,
        tokens,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        tokenizer_class="LlamaTokenizer",
        add_prefix_space=True,
    )
    write(folder / "tokenizer_config.json", config)
    model_config(folder, "MistralForCausalLM", "mistral", 390, bos_token_id=1, eos_token_id=2)
    return ["mistral_json"]


def gemma3():
    folder = fresh("gemma3")
    runs = ["\n" * count for count in range(1, 5)] + ["\t", "\t\t"]
    runs += ["▁" * count for count in range(2, 6)]
    given = ["<mask>", "[multimodal]", "<unused0>", "<unused1>", "<start_of_turn>", "<end_of_turn>"]
    given += runs + ["<table>", "</table>"]
    model = train_sentencepiece(
        folder,
        410,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        add_dummy_prefix=False,
        user_defined_symbols=given,
    )
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokens = [added(text) for text in specials]
    for text in given:
        tokens.append(added(text, special=text in ("<start_of_turn>", "<end_of_turn>")))
    # One beyond SentencePiece's and beyond the embedding, as the image token of the real text model.
    tokens.append(added("<image_soft_token>"))
    vocab, merges = bpe_of(model)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = llama_post_processor("<bos>", 2)
    for token in tokens:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = sentencepiece_config(
        tokenizer,
        tokens,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        spaces_between_special_tokens=False,
        tokenizer_class="GemmaTokenizer",
    )
    write(folder / "tokenizer_config.json", config)
    names = {"architecture": "Gemma3ForCausalLM", "model_type": "gemma3_text", "vocab_size": 410}
    special = {"bos_token_id": 2, "eos_token_id": [1, 106], "pad_token_id": 0}
    model_config(folder, **names, **special)

    again = fresh("gemma3_json")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ["tokenizer.json", "tokenizer_config.json"]:
            shutil.copy(folder / name, scratch)
        AutoTokenizer.from_pretrained(scratch).save_pretrained(again)
    model_config(again, **names, **special)
    return ["gemma3", "gemma3_json"]


# --- byte-level BPE --------------------------------------------------------------------------


def train_byte_level(split, size, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def llama3():
    folder = fresh("llama3")
    tokenizer = train_byte_level(LLAMA3_SPLIT, 400, ignore_merges=True)
    # A word that no merge makes: found whole only where merges are ignored.
    value = json.loads(tokenizer.to_str())
    value["model"]["vocab"]["Ġworthy"] = len(value["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(value))
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
    names += ["<|eot_id|>", "<|reserved_special_token_0|>"]
    tokenizer.add_special_tokens([added(name) for name in names])
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A",
                pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                special_tokens=[("<|begin_of_text|>", bos)],
            ),
        ]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        clean_up_tokenization_spaces=True,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    eos = [bos + 1, bos + 4]
    model_config(folder, "LlamaForCausalLM", "llama", 407, bos_token_id=bos, eos_token_id=eos)
    return ["llama3"]


def qwen2():
    folder = fresh("qwen2")
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    tokenizer = train_byte_level(PRETOKENIZE_REGEX, 390, normalizers.NFC())
    value = json.loads(tokenizer.to_str())["model"]
    saved = Qwen2Tokenizer(
        vocab=value["vocab"],
        merges=[tuple(pair) for pair in value["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>", "<|vision_start|>"],
        chat_template=CHATML,
    )
    saved.add_tokens([added("<tool_call>", special=False), added("</tool_call>", special=False)])
    saved.add_tokens([AddedToken("normalized", special=False, normalized=True)])
    saved.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    saved.save_pretrained(folder)
    model_config(folder, "Qwen2ForCausalLM", "qwen2", 400, bos_token_id=390, eos_token_id=390)
    return ["qwen2"]


def tekken():
    folder = fresh("tekken")
    tokenizer = train_byte_level(TEKKEN_SPLIT, 380, ignore_merges=True)
    # Specials come first, as Mistral numbers them.
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "<pad>", "<SPECIAL_7>"]
    value = json.loads(tokenizer.to_str())
    vocab = value["model"]["vocab"]
    shifted = {name: index for index, name in enumerate(names)}
    shifted.update({text: index + len(names) for text, index in vocab.items()})
    value["model"]["vocab"] = shifted
    tokenizer = Tokenizer.from_str(json.dumps(value))
    tokenizer.add_special_tokens([added(name) for name in names])
    tokenizer.post_processor = llama_post_processor("<s>", 1)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        add_prefix_space=False,
    ).save_pretrained(folder)
    model_config(folder, "MistralForCausalLM", "mistral", 388, bos_token_id=1, eos_token_id=2)
    return ["tekken"]


# --- what the converter and transformers make of them ----------------------------------------


def model_config(folder, architecture, model_type, vocab_size, **special):
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    if model_type == "gemma3_text":
        config.update(sliding_window=64, sliding_window_pattern=6, query_pre_attn_scalar=16)
    config.update(special)
    write(folder / "config.json", config)


PRE = {"llama3": "llama-bpe", "qwen2": "qwen2", "tekken": "tekken"}


def converted(folder):
    config = json.loads((folder / "config.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch) / "model"
        shutil.copytree(folder, copied)
        weights = {"model.embed_tokens.weight": torch.zeros(config["vocab_size"], 32)}
        save_file(weights, str(copied / "model.safetensors"), metadata={"format": "pt"})
        model_class = get_model_class(config["architectures"][0])
        model = model_class(copied, gguf.LlamaFileType.ALL_F32, Path(scratch) / "out.gguf")
        model.get_vocab_base_pre = lambda tokenizer: PRE[folder.name]
        model.set_vocab()
        entries = []
        for key, value in model.gguf_writer.kv_data[0].items():
            if key.startswith("tokenizer."):
                kind, content = value.type.name.lower(), copy.copy(value.value)
                if kind == "array":
                    content = [
                        item.decode("utf-8") if isinstance(item, bytes) else item for item in content
                    ]
                    content = [int(item) if isinstance(item, gguf.TokenType) else item for item in content]
                entries.append({"key": key, "type": kind, "value": content})
        return entries


def difference(name, text):
    """Says why llama.cpp gives other ids for a text, if it does."""
    if name.startswith("llama2"):
        if text[:1] in (" ", "▁"):
            return "transformers 5 puts no space before a space, SentencePiece and llama.cpp do"
        if name == "llama2_json" and text.startswith(("<s>", "<|im_start|>", "<tool_call>")):
            return "transformers puts a space before the text, llama.cpp after each added token too"
    if name == "qwen2" and unicodedata.normalize("NFC", text) != text:
        return "llama.cpp does not compose characters (NFC)"
    return None


def compact(path, entries):
    """One entry a line, so that a difference can be seen."""
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def main():
    for make in [llama2, mistral, gemma3, llama3, qwen2, tekken]:
        for name in make():
            folder = HERE / name
            tokenizer = AutoTokenizer.from_pretrained(folder)
            ids = []
            for text in TEXTS:
                entry = {
                    "text": text,
                    "ids": tokenizer.encode(text, add_special_tokens=False),
                    "with_special": tokenizer.encode(text),
                }
                if (reason := difference(name, text)) is not None:
                    entry["llama_cpp"] = reason
                ids.append(entry)
            if name != "gemma3_json":
                compact(folder / "metadata.json", converted(folder))
            compact(folder / "ids.json", ids)
            print(name, len(tokenizer), type(tokenizer).__name__)


if __name__ == "__main__":
    main()

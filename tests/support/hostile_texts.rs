//! What a model, a judge or a configuration may say to drive whoever shows it, for the tests of every
//! format.
//!
//! A text that runs anywhere calls `pwned()`, adds an element or asks for `evil.example`, so that a
//! browser's test notices.

/// A kind of attack, and a text that makes it.
pub(crate) struct HostileText {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Returns all of them.
pub(crate) fn hostile_texts() -> Vec<HostileText> {
    let short = [
        ("script", "<script>pwned()</script>"),
        (
            "handler",
            "<img src=x onerror=pwned()> <b onmouseover='pwned()'>b</b>",
        ),
        ("end of a script", "</script><script>pwned()</script>"),
        (
            "end of a style",
            "</style></title></textarea><script>pwned()</script>",
        ),
        ("comment", "<!-- <script> pwned() //--> --!> <!--<script>"),
        (
            "attribute",
            "\" onfocus=\"pwned()\" autofocus=\"' onfocus='pwned()' autofocus='",
        ),
        (
            "svg",
            "<svg onload=pwned()><script>pwned()</script><a href='javascript:pwned()'>x</a></svg>",
        ),
        (
            "frame",
            "<iframe srcdoc='<script>parent.pwned()</script>'></iframe><base href=http://evil.example/>",
        ),
        (
            "data url",
            "<a href=\"data:text/html,<script>pwned()</script>\">a</a> data:text/html;base64,PHA+",
        ),
        (
            "meta",
            "<meta http-equiv=refresh content='0;url=http://evil.example'><link rel=stylesheet href=//evil.example>",
        ),
        (
            "entity",
            "&lt;script&gt;pwned()&lt;/script&gt; &#60;b&#62; &amp;lt;",
        ),
        (
            "link",
            "[click](http://evil.example) ![i](http://evil.example/i.png) <http://evil.example> http://evil.example www.evil.example",
        ),
        (
            "markdown",
            "# Heading\n\n- item\n\n```\ncode\n```\n| a | b |\n|---|---|\n> quote\n\n**b** _i_ ~~s~~ `c` $x$ @everyone",
        ),
        (
            "escape sequence",
            "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7} \u{9b}31m \u{8}\u{8}\u{0}",
        ),
        (
            "right to left",
            "\u{202e}txt.exe\u{202c} \u{2066}a\u{2069} \u{200f}b \u{61c}c",
        ),
        (
            "invisible",
            "a\u{200b}b\u{2060}c\u{feff}d\u{ad}e \u{e0041}\u{e0042} \u{115f}\u{3164}",
        ),
        (
            "line ends",
            "one\r\ntwo\rthree\u{2028}four\u{2029}five\u{85}six\u{b}seven\u{c}eight",
        ),
        ("formula", "=HYPERLINK(\"http://evil.example\",\"x\")"),
        ("formula with a plus", "+1+cmd|' /C calc'!A0"),
        ("formula with a minus", "-2+3+cmd|' /C calc'!A0"),
        ("formula with an at", "@SUM(1+1)*cmd|' /C calc'!A0"),
        ("formula after a tab", "\t=1+1"),
        ("formula after a line end", "\r=1+1,\"\",\n=2"),
        (
            "xml",
            "]]> <![CDATA[ x ]]> <?xml version='1.0'?> <!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]> &e;",
        ),
        (
            "characters that xml has not",
            "\u{1}\u{2}\u{b}\u{1f}\u{fffe}\u{ffff}",
        ),
        (
            "workflow command",
            "::error::pwned\n::set-output name=a::b\n::add-mask::x\n::stop-commands::t",
        ),
        (
            "other runners' commands",
            "##[error]pwned\n##vso[task.setvariable variable=a]b\n##teamcity[x]\nsection_start:1:a\r",
        ),
        ("json", "\\u003cscript\\u003e \\\" \\\\ \" { } \\"),
        ("template", "{{7*7}} ${7*7} <%= 7*7 %> #{7*7} {% raw %}"),
        ("nothing but space", " \t\n \u{a0}\u{3000} "),
    ];
    let mut texts: Vec<HostileText> = short
        .into_iter()
        .map(|(name, text)| HostileText {
            name,
            text: text.to_owned(),
        })
        .collect();
    texts.push(HostileText {
        name: "a line of a megabyte",
        text: "<b>=a|b\u{202e} ".repeat(1 << 17)[..1 << 20].to_owned(),
    });
    // As every reader of replies here takes bytes that are no UTF-8.
    texts.push(HostileText {
        name: "invalid utf-8",
        text: String::from_utf8_lossy(b"a\xff\xfe<\xc3b>\xed\xa0\x80\xf8\x88").into_owned(),
    });
    texts
}

/// Returns `text` as a name of a persona or model can hold it: no control characters, no `/`, no space
/// around, at most 128 characters; `None` if nothing is left.
pub(crate) fn as_name(text: &str) -> Option<String> {
    let is_allowed = |c: &char| !c.is_control() && *c != '/';
    let name: String = text.chars().filter(is_allowed).take(128).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

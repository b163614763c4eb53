use std::path::{Component, Path, PathBuf};

/// Returns how `to` is called seen from the directory `from`, both absolute and without `..`.
///
/// Files that name each other so can be moved together.
pub(crate) fn relative_path(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to[shared..].iter().copied()).collect();
    if path.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("/a/b", "/a/b" => "."; "the same")]
    #[test_case("/a/out", "/a/data/train.jsonl" => "../data/train.jsonl"; "beside")]
    #[test_case("/a", "/a/b/c" => "b/c"; "inside")]
    #[test_case("/a/b/c", "/d" => "../../../d"; "elsewhere")]
    fn ways_are_short(from: &str, to: &str) -> String {
        let path = relative_path(Path::new(from), Path::new(to));
        path.display().to_string()
    }
}

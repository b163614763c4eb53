/// What nobody can guess: it stands in a page's address.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Makes a token of random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random)))
    }

    /// Returns its 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on where they differ.
    pub(super) fn is(&self, other: &str) -> bool {
        let bytes = self.0.bytes().zip(other.bytes());
        let differs = bytes.fold(0, |differs, (a, b)| differs | (a ^ b));
        self.0.len() == other.len() && differs == 0
    }
}

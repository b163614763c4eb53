/// What a key may hold.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(StringArray),
    Array(Vec<Array>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

/// Strings one after another in one piece of memory, as a vocabulary has hundreds of thousands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringArray {
    text: String,
    ends: Vec<usize>,
}

/// The type of a value, with its number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are all there is to say")]
#[repr(u32)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// Returns the type of a number, if there is one.
    pub fn of_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Returns the number in a file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Returns the name, e.g. `u32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// For each scalar: its variants' name and type.
macro_rules! scalars {
    ($($variant:ident $scalar:ty),*) => {
        impl Value {
            /// Returns the type.
            pub fn value_type(&self) -> ValueType {
                match self {
                    $(Self::$variant(_) => ValueType::$variant,)*
                    Self::String(_) => ValueType::String,
                    Self::Array(_) => ValueType::Array,
                }
            }
        }

        impl Array {
            /// Returns the type of each value.
            pub fn element_type(&self) -> ValueType {
                match self {
                    $(Self::$variant(_) => ValueType::$variant,)*
                    Self::String(_) => ValueType::String,
                    Self::Array(_) => ValueType::Array,
                }
            }

            /// Returns how many values there are.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(values) => values.len(),)*
                    Self::String(values) => values.len(),
                    Self::Array(values) => values.len(),
                }
            }
        }

        $(impl From<$scalar> for Value {
            fn from(value: $scalar) -> Self {
                Self::$variant(value)
            }
        }

        impl From<Vec<$scalar>> for Value {
            fn from(values: Vec<$scalar>) -> Self {
                Self::Array(Array::$variant(values))
            }
        })*
    };
}

scalars!(U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, F32 f32, Bool bool, U64 u64, I64 i64, F64 f64);

impl Value {
    /// Returns the string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the whole number, of whatever type, if it is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// Returns the array, if it is one.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Returns the strings, if it is an array of them.
    pub fn as_strings(&self) -> Option<&StringArray> {
        match self {
            Self::Array(Array::String(strings)) => Some(strings),
            _ => None,
        }
    }
}

impl Array {
    /// Tells whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

impl From<StringArray> for Value {
    fn from(strings: StringArray) -> Self {
        Self::Array(Array::String(strings))
    }
}

impl StringArray {
    /// Appends a string.
    pub fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.ends.push(self.text.len());
    }

    /// Returns how many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the string at `idx`, if there are so many.
    pub fn get(&self, idx: usize) -> Option<&str> {
        let end = *self.ends.get(idx)?;
        let start = if idx == 0 { 0 } else { self.ends[idx - 1] };
        Some(&self.text[start..end])
    }

    /// Returns the strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|idx| self.get(idx).expect("the index is below the length"))
    }

    /// Makes room for so many strings.
    pub(super) fn with_capacity(strings: usize) -> Self {
        Self {
            text: String::new(),
            ends: Vec::with_capacity(strings),
        }
    }
}

impl<S: AsRef<str>> FromIterator<S> for StringArray {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut array = Self::default();
        for string in strings {
            array.push(string.as_ref());
        }
        array
    }
}

impl std::fmt::Debug for StringArray {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_again() {
        let strings: StringArray = ["", "a", "", "βγ"].into_iter().collect();
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["", "a", "", "βγ"]);
        assert_eq!((strings.get(3), strings.get(4)), (Some("βγ"), None));
        assert_eq!(format!("{strings:?}"), r#"["", "a", "", "βγ"]"#);
    }

    #[test]
    fn whole_numbers_of_any_type_are_read_as_one() {
        for value in [Value::U8(7), Value::I64(7), Value::U32(7)] {
            assert_eq!(value.as_u64(), Some(7));
        }
        assert_eq!(Value::I8(-1).as_u64(), None);
        assert_eq!(Value::F32(7.0).as_u64(), None);
    }
}

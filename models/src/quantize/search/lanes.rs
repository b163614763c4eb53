use std::array;
use std::ops::{Add, Div, Mul, Sub};

/// How many numbers are worked on at a time.
pub(super) const LANES: usize = 8;

/// Numbers that are worked on at the same time, each in the order it would be alone.
///
/// Written so that the compiler makes vector instructions of it; every operation is rounded by itself, as
/// IEEE 754 has it, and none are fused.
#[derive(Clone, Copy)]
pub(super) struct Lanes(pub(super) [f32; LANES]);

/// For each lane all bits or none.
#[derive(Clone, Copy)]
pub(super) struct Mask([u32; LANES]);

impl Lanes {
    #[inline(always)]
    pub(super) fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(array::from_fn(|lane| f(self.0[lane])))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    pub(super) fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    #[inline(always)]
    pub(super) fn smaller(self, other: Self) -> Self {
        self.zip(other, |one, other| if other < one { other } else { one })
    }

    #[inline(always)]
    pub(super) fn larger(self, other: Self) -> Self {
        self.zip(other, |one, other| if other > one { other } else { one })
    }

    #[inline(always)]
    pub(super) fn exceeds(self, other: Self) -> Mask {
        let all = |is_true: bool| if is_true { u32::MAX } else { 0 };
        Mask(array::from_fn(|lane| all(self.0[lane] > other.0[lane])))
    }

    /// Rounds to whole numbers of `least` to `most`, ties to even.
    ///
    /// Only for numbers below 2^22: adding 1.5·2^23 leaves no bit for a fraction.
    #[inline(always)]
    pub(super) fn level(self, least: i32, most: i32) -> Self {
        Self(array::from_fn(|lane| {
            nearest(self.0[lane]).min(most).max(least) as f32
        }))
    }
}

/// Rounds a number below 2^22 to the nearest whole one, ties to even.
#[inline(always)]
pub(super) fn nearest(value: f32) -> i32 {
    ((value + 12_582_912.0).to_bits() & 0x007F_FFFF).cast_signed() - 0x0040_0000
}

impl Mask {
    #[inline(always)]
    pub(super) fn and(self, other: Self) -> Self {
        Self(array::from_fn(|lane| self.0[lane] & other.0[lane]))
    }

    /// Takes `one` where the mask is set, else `other`.
    #[inline(always)]
    pub(super) fn choose(self, one: Lanes, other: Lanes) -> Lanes {
        Lanes(array::from_fn(|lane| {
            let (one, other) = (one.0[lane].to_bits(), other.0[lane].to_bits());
            f32::from_bits(one & self.0[lane] | other & !self.0[lane])
        }))
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |one, other| one + other)
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |one, other| one - other)
    }
}

impl Mul for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |one, other| one * other)
    }
}

impl Div for Lanes {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |one, other| one / other)
    }
}

/// Returns `LANES` runs of `N` values side by side: first all first values, then all second ones.
#[inline(always)]
pub(super) fn transposed<const N: usize>(values: &[f32]) -> [Lanes; N] {
    array::from_fn(|position| Lanes(array::from_fn(|lane| values[lane * N + position])))
}

//! Counts through a product of factors. The number of a case is read digit by digit, each digit in
//! the base of its factor, so the numbers from zero up to the size meet every combination once.

use crate::products::Product;

pub struct Odometer {
    rest: usize,
    size: usize,
}

impl Odometer {
    pub const fn at(case: usize) -> Self {
        Self { rest: case, size: 1 }
    }

    /// The next digit. A product must read the same factors in every case.
    pub fn pick<T: Copy>(&mut self, factor: &[T]) -> T {
        let value = factor[self.rest % factor.len()];
        self.rest /= factor.len();
        self.size *= factor.len();
        value
    }
}

/// How many cases a product has.
pub fn size(product: Product) -> usize {
    let mut odometer = Odometer::at(0);
    product(&mut odometer);
    odometer.size
}

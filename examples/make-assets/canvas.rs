//! An anti-aliased canvas on an `RgbImage`, and the shapes the pictures are made of.
//!
//! A shape is a signed distance (negative inside, in pixels) and a box outside of which nothing needs painting. Only
//! arithmetic and square roots are used, which IEEE 754 rounds the same everywhere: the pictures do not depend on a
//! machine's maths library.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "pixel positions and colours are small numbers that pass between floats and integers"
)]

use std::ops::{Add, Mul, Sub};

use image::{Rgb, RgbImage};

/// A place or a direction; x to the right, y down.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// Shorthand for a point.
pub(crate) const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// A quarter turn of `self`.
    fn across(self) -> Self {
        at(-self.y, self.x)
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        at(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        at(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        at(self.x * factor, self.y * factor)
    }
}

/// What can be painted: `distance` to its edge, and two corners of a box around it.
pub(crate) struct Shape<D> {
    low: Point,
    high: Point,
    distance: D,
}

impl<D: Fn(Point) -> f32> Shape<D> {
    fn around(centre: Point, reach: f32, distance: D) -> Self {
        Self { low: centre - at(reach, reach), high: centre + at(reach, reach), distance }
    }
}

/// An ellipse that lies `along` a direction of any length.
pub(crate) fn ellipse(centre: Point, along: Point, length: f32, width: f32) -> Shape<impl Fn(Point) -> f32> {
    let along = along * (1.0 / along.length());
    Shape::around(centre, length.max(width), move |point| {
        let offset = at((point - centre).dot(along), (point - centre).dot(along.across()));
        let scaled = at(offset.x / length, offset.y / width).length();
        let slope = at(offset.x / (length * length), offset.y / (width * width)).length();
        if slope == 0.0 { -width.min(length) } else { scaled * (scaled - 1.0) / slope }
    })
}

/// A filled circle.
pub(crate) fn disc(centre: Point, radius: f32) -> Shape<impl Fn(Point) -> f32> {
    Shape::around(centre, radius, move |point| (point - centre).length() - radius)
}

/// A circle drawn with a pen.
pub(crate) fn ring(centre: Point, radius: f32, pen: f32) -> Shape<impl Fn(Point) -> f32> {
    Shape::around(centre, radius + pen, move |point| ((point - centre).length() - radius).abs() - pen)
}

/// A leaf from one point to another, pointed at both ends: what two circles have in common.
pub(crate) fn leaf(foot: Point, tip: Point, width: f32) -> Shape<impl Fn(Point) -> f32> {
    let (middle, half) = ((foot + tip) * 0.5, (tip - foot) * 0.5);
    let radius = (half.dot(half) + width * width) / (2.0 * width);
    let offset = half.across() * ((radius - width) / half.length());
    let (left, right) = (middle - offset, middle + offset);
    Shape::around(middle, half.length(), move |point| (point - left).length().max((point - right).length()) - radius)
}

/// A rectangle with round corners.
pub(crate) fn block(low: Point, high: Point, corner: f32) -> Shape<impl Fn(Point) -> f32> {
    let (centre, half) = ((low + high) * 0.5, (high - low) * 0.5 - at(corner, corner));
    let distance = move |point: Point| {
        let out = at((point.x - centre.x).abs() - half.x, (point.y - centre.y).abs() - half.y);
        at(out.x.max(0.0), out.y.max(0.0)).length() + out.x.max(out.y).min(0.0) - corner
    };
    Shape { low, high, distance }
}

/// A vessel: a trapezoid, `top` and `bottom` wide, with round corners.
pub(crate) fn vessel(low: Point, height: f32, top: f32, bottom: f32, corner: f32) -> Shape<impl Fn(Point) -> f32> {
    let middle = low.x + top / 2.0;
    let side = at((top - bottom) / 2.0, -height);
    let outwards = at(-side.y, side.x) * (1.0 / side.length());
    let distance = move |point: Point| {
        let right = at((point.x - middle).abs() - bottom / 2.0, point.y - low.y - height);
        let edges = at(right.dot(outwards), right.y.max(low.y - point.y)) + at(corner, corner);
        at(edges.x.max(0.0), edges.y.max(0.0)).length() + edges.x.max(edges.y).min(0.0) - corner
    };
    Shape { low, high: low + at(top, height), distance }
}

/// A line through the points, drawn with a round pen of that radius.
pub(crate) fn stroke(points: &[Point], pen: f32) -> Shape<impl Fn(Point) -> f32> {
    let fold = |pick: fn(f32, f32) -> f32| {
        points.iter().copied().reduce(|a, b| at(pick(a.x, b.x), pick(a.y, b.y))).unwrap_or(at(0.0, 0.0))
    };
    let distance = move |point: Point| {
        let nearest = points.windows(2).map(|ends| {
            let (offset, line) = (point - ends[0], ends[1] - ends[0]);
            (offset - line * (offset.dot(line) / line.dot(line)).clamp(0.0, 1.0)).length()
        });
        nearest.fold(f32::INFINITY, f32::min) - pen
    };
    Shape { low: fold(f32::min) - at(pen, pen), high: fold(f32::max) + at(pen, pen), distance }
}

/// The points of a quadratic Bézier curve.
pub(crate) fn curve(from: Point, control: Point, to: Point) -> Vec<Point> {
    const STEPS: u8 = 12;
    (0..=STEPS)
        .map(|step| {
            let t = f32::from(step) / f32::from(STEPS);
            from * ((1.0 - t) * (1.0 - t)) + control * (2.0 * t * (1.0 - t)) + to * (t * t)
        })
        .collect()
}

/// The ground below a hill: `crest` is its highest point, `width` how far it slopes to half its height over `foot`.
pub(crate) fn hill(crest: Point, width: f32, foot: f32) -> Shape<impl Fn(Point) -> f32> {
    let distance = move |point: Point| {
        let across = (point.x - crest.x) / width;
        foot - (foot - crest.y) / (1.0 + across * across) - point.y
    };
    Shape { low: at(0.0, crest.y), high: at(f32::MAX, f32::MAX), distance }
}

/// A colour, its channels between 0 and 255.
#[derive(Clone, Copy)]
pub(crate) struct Colour {
    red: f32,
    green: f32,
    blue: f32,
}

/// A colour as style sheets write it: `0xFF6B6B`.
pub(crate) const fn rgb(hex: u32) -> Colour {
    let [_, red, green, blue] = hex.to_be_bytes();
    Colour { red: red as f32, green: green as f32, blue: blue as f32 }
}

impl Colour {
    /// This colour with a share, between 0 and 1, of the other.
    pub(crate) fn mix(self, other: Self, share: f32) -> Self {
        Self {
            red: self.red + (other.red - self.red) * share,
            green: self.green + (other.green - self.green) * share,
            blue: self.blue + (other.blue - self.blue) * share,
        }
    }

    fn of(Rgb([red, green, blue]): Rgb<u8>) -> Self {
        Self { red: red.into(), green: green.into(), blue: blue.into() }
    }

    fn pixel(self) -> Rgb<u8> {
        Rgb([(self.red + 0.5) as u8, (self.green + 0.5) as u8, (self.blue + 0.5) as u8])
    }
}

/// A picture being painted.
#[derive(Clone)]
pub(crate) struct Canvas(RgbImage);

impl Canvas {
    /// A canvas with a sky: one colour at the top that passes into another at the bottom.
    pub(crate) fn new(width: u32, height: u32, top: Colour, bottom: Colour) -> Self {
        let mut canvas = Self(RgbImage::new(width, height));
        canvas.shade(&block(at(0.0, 0.0), at(width as f32, height as f32), 0.0), top, bottom);
        canvas
    }

    /// Paints a shape in one colour.
    pub(crate) fn fill(&mut self, shape: &Shape<impl Fn(Point) -> f32>, colour: Colour) {
        self.paint(shape, 0.5, 1.0, |_| colour);
    }

    /// Paints a shape in one colour that lets what is below show through; `opacity` is between 0 and 1.
    pub(crate) fn glaze(&mut self, shape: &Shape<impl Fn(Point) -> f32>, colour: Colour, opacity: f32) {
        self.paint(shape, 0.5, opacity, |_| colour);
    }

    /// Paints a shape whose edge fades out over `softness` pixels to either side: light and shadow.
    pub(crate) fn glow(&mut self, shape: &Shape<impl Fn(Point) -> f32>, softness: f32, colour: Colour, opacity: f32) {
        self.paint(shape, softness, opacity, |_| colour);
    }

    /// Paints a shape that passes from one colour at its top into another at its bottom.
    pub(crate) fn shade(&mut self, shape: &Shape<impl Fn(Point) -> f32>, top: Colour, bottom: Colour) {
        let (low, high) = (shape.low.y, shape.high.y.min(self.0.height() as f32));
        self.paint(shape, 0.5, 1.0, |point| top.mix(bottom, ((point.y - low) / (high - low)).clamp(0.0, 1.0)));
    }

    fn paint(
        &mut self,
        shape: &Shape<impl Fn(Point) -> f32>,
        softness: f32,
        opacity: f32,
        colour: impl Fn(Point) -> Colour,
    ) {
        let (width, height) = self.0.dimensions();
        let span = |low: f32, high: f32, end: u32| (low - softness) as u32..((high + softness) as u32 + 1).min(end);
        for y in span(shape.low.y, shape.high.y.min(height as f32), height) {
            for x in span(shape.low.x, shape.high.x.min(width as f32), width) {
                let point = at(x as f32 + 0.5, y as f32 + 0.5);
                let inside = (0.5 - (shape.distance)(point) / (2.0 * softness)).clamp(0.0, 1.0);
                // Smoothstep, so that a soft edge has no visible rim.
                let cover = if softness > 1.0 { inside * inside * (3.0 - 2.0 * inside) } else { inside };
                if cover > 0.0 {
                    let below = self.0.get_pixel_mut(x, y);
                    *below = Colour::of(*below).mix(colour(point), cover * opacity).pixel();
                }
            }
        }
    }

    /// The picture.
    pub(crate) fn into_image(self) -> RgbImage {
        self.0
    }
}

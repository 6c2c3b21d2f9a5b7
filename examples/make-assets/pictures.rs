//! What is to be seen: the season's banner, the products, the moving pictures.
#![expect(clippy::unreadable_literal, reason = "colours are written as everywhere: six digits in a row")]

use std::f32::consts::FRAC_1_SQRT_2;

use image::RgbImage;

use crate::canvas::{Canvas, Colour, Point, at, block, curve, disc, ellipse, hill, leaf, rgb, ring, stroke, vessel};
use crate::lettering;

const INK: Colour = rgb(0x1F4E5F);
const CORAL: Colour = rgb(0xFF6B6B);
const SUNNY: Colour = rgb(0xFFC94D);
const ROSE: Colour = rgb(0xF78FA7);
const LEAF: Colour = rgb(0x4FA96B);
const SHADE: Colour = rgb(0x2F7D4F);
const CREAM: Colour = rgb(0xFFF6E9);
const WHITE: Colour = rgb(0xFFFFFF);
const CLAY: Colour = rgb(0xD9795D);

/// The season's banner: tulips on a hill, a sun, the offer.
pub(crate) fn hero() -> RgbImage {
    let mut canvas = Canvas::new(1200, 628, rgb(0xA9DDF3), rgb(0xFFEBD6));
    canvas.glow(&disc(at(985.0, 180.0), 110.0), 90.0, rgb(0xFFE7A3), 0.9);
    canvas.fill(&disc(at(985.0, 180.0), 84.0), SUNNY);
    cloud(&mut canvas, at(800.0, 260.0), 0.9);
    cloud(&mut canvas, at(1085.0, 270.0), 0.7);
    canvas.shade(&hill(at(220.0, 400.0), 420.0, 560.0), rgb(0xB5DFB4), rgb(0x8ECB9A));
    canvas.shade(&hill(at(930.0, 390.0), 380.0, 600.0), rgb(0x93D09C), rgb(0x6DBA80));
    canvas.shade(&hill(at(560.0, 505.0), 700.0, 640.0), rgb(0x6CBB7F), rgb(0x3F9A5F));
    for (x, y, height, colour) in [
        (610.0, 640.0, 120.0, SUNNY),
        (690.0, 650.0, 170.0, ROSE),
        (775.0, 645.0, 225.0, CORAL),
        (865.0, 655.0, 190.0, SUNNY),
        (950.0, 650.0, 260.0, ROSE),
        (1040.0, 655.0, 215.0, CORAL),
        (1130.0, 650.0, 165.0, SUNNY),
    ] {
        tulip(&mut canvas, at(x, y), height, colour);
    }
    lettering::write(&mut canvas, "SPRING", at(90.0, 92.0), 112.0, 11.0, INK);
    lettering::write(&mut canvas, "SALE", at(90.0, 250.0), 112.0, 11.0, INK);
    badge(&mut canvas, at(585.0, 318.0), 86.0);
    canvas.into_image()
}

/// A square card of the same season, close to the flowers.
pub(crate) fn card() -> RgbImage {
    let mut canvas = Canvas::new(1080, 1080, rgb(0xFFD9C7), rgb(0xFFF3E2));
    canvas.fill(&disc(at(540.0, 560.0), 400.0), rgb(0xFFE3A8));
    for (x, height, colour) in [
        (250.0, 520.0, ROSE),
        (830.0, 540.0, SUNNY),
        (395.0, 640.0, SUNNY),
        (690.0, 650.0, ROSE),
        (540.0, 740.0, CORAL),
    ] {
        tulip(&mut canvas, at(x, 1120.0), height, colour);
    }
    badge(&mut canvas, at(850.0, 240.0), 150.0);
    canvas.into_image()
}

/// A bunch of tulips for the shop.
pub(crate) fn tulips() -> RgbImage {
    let mut canvas = Canvas::new(900, 900, rgb(0xE3F1EC), rgb(0xC9E4DC));
    shadow(&mut canvas, at(450.0, 815.0), 190.0);
    for (x, height, colour) in [(370.0, 380.0, CORAL), (530.0, 400.0, ROSE), (450.0, 480.0, SUNNY)] {
        tulip(&mut canvas, at(x, 660.0), height, colour);
    }
    canvas.shade(&vessel(at(300.0, 500.0), 310.0, 300.0, 210.0, 26.0), rgb(0x8FC7DB), rgb(0x5A9DB8));
    canvas.glaze(&stroke(&[at(352.0, 550.0), at(376.0, 750.0)], 10.0), WHITE, 0.35);
    canvas.into_image()
}

/// A teapot.
pub(crate) fn teapot() -> RgbImage {
    let mut canvas = Canvas::new(900, 900, rgb(0xFFEFD9), rgb(0xFBD9BE));
    shadow(&mut canvas, at(450.0, 728.0), 260.0);
    canvas.fill(&ring(at(250.0, 500.0), 105.0, 24.0), rgb(0x2C7F86));
    let spout = curve(at(610.0, 600.0), at(730.0, 590.0), at(775.0, 385.0));
    canvas.fill(&stroke(&spout, 36.0), rgb(0x2F878E));
    canvas.glaze(&ellipse(at(780.0, 366.0), at(1.0, 0.25), 30.0, 12.0), INK, 0.8);
    canvas.fill(&disc(at(450.0, 285.0), 30.0), CORAL);
    canvas.shade(&ellipse(at(450.0, 355.0), at(1.0, 0.0), 135.0, 52.0), rgb(0x56B3B6), rgb(0x2C7F86));
    canvas.shade(&ellipse(at(450.0, 545.0), at(1.0, 0.0), 245.0, 190.0), rgb(0x4AA8AD), rgb(0x256E77));
    for (x, y) in [(330.0, 560.0), (450.0, 600.0), (570.0, 560.0)] {
        blossom(&mut canvas, at(x, y), 44.0, CREAM, SUNNY);
    }
    canvas.glow(&ellipse(at(345.0, 440.0), at(1.0, -0.7), 62.0, 18.0), 14.0, WHITE, 0.45);
    canvas.into_image()
}

/// A mug with a heart.
pub(crate) fn mug() -> RgbImage {
    let mut canvas = Canvas::new(720, 720, rgb(0xDDEBF7), rgb(0xDDEBF7));
    canvas.fill(&ellipse(at(355.0, 600.0), at(1.0, 0.0), 215.0, 28.0), rgb(0xC2D6E8));
    for x in [280.0, 350.0, 420.0] {
        let wisp = [
            curve(at(x, 215.0), at(x - 34.0, 180.0), at(x, 145.0)),
            curve(at(x, 145.0), at(x + 34.0, 110.0), at(x, 75.0)),
        ];
        canvas.fill(&stroke(&wisp.concat(), 8.0), WHITE);
    }
    canvas.fill(&ring(at(508.0, 420.0), 82.0, 22.0), rgb(0xE9B23B));
    canvas.fill(&block(at(180.0, 280.0), at(520.0, 605.0), 46.0), SUNNY);
    canvas.fill(&block(at(180.0, 280.0), at(520.0, 400.0), 0.0), SUNNY);
    canvas.fill(&ellipse(at(350.0, 280.0), at(1.0, 0.0), 170.0, 30.0), rgb(0xE9B23B));
    canvas.fill(&ellipse(at(350.0, 284.0), at(1.0, 0.0), 152.0, 21.0), rgb(0x7A4A33));
    for side in [-1.0, 1.0] {
        canvas.fill(&ellipse(at(350.0 + side * 27.0, 455.0), at(side * 0.7, -1.0), 74.0, 40.0), CORAL);
    }
    canvas.into_image()
}

/// A potted plant.
pub(crate) fn plant() -> RgbImage {
    let mut canvas = Canvas::new(640, 640, rgb(0xF3EAFB), rgb(0xF3EAFB));
    canvas.fill(&ellipse(at(320.0, 580.0), at(1.0, 0.0), 150.0, 20.0), rgb(0xDCCDEB));
    for (x, y, colour) in [
        (170.0, 230.0, SHADE),
        (470.0, 230.0, SHADE),
        (110.0, 330.0, LEAF),
        (530.0, 330.0, LEAF),
        (240.0, 130.0, LEAF),
        (400.0, 130.0, LEAF),
        (320.0, 80.0, SHADE),
    ] {
        canvas.fill(&leaf(at(320.0, 430.0), at(x, y), 42.0), colour);
        canvas.fill(&stroke(&[at(320.0, 430.0), at(320.0, 430.0) * 0.25 + at(x, y) * 0.75], 2.5), rgb(0xA8D8A0));
    }
    canvas.fill(&vessel(at(225.0, 420.0), 160.0, 190.0, 130.0, 14.0), CLAY);
    canvas.fill(&block(at(205.0, 395.0), at(435.0, 445.0), 14.0), rgb(0xE88F72));
    canvas.into_image()
}

/// One moment of a flower that opens; `age` runs from 0 to 1. Few colours and no shading: GIF has 256.
pub(crate) fn blooming(age: f32) -> RgbImage {
    let grown = ease((age * 1.8).min(1.0));
    let open = ease((age * 1.8 - 0.8).max(0.0));
    let mut canvas = Canvas::new(320, 320, rgb(0xCCEEFF), rgb(0xCCEEFF));
    let head = at(160.0, 270.0 - 140.0 * grown);
    canvas.fill(&stroke(&[at(160.0, 280.0), head], 5.0), rgb(0x44AA66));
    let (foot, size) = (at(160.0, 272.0), grown.max(0.05));
    for side in [-1.0, 1.0] {
        canvas.fill(&leaf(foot, foot + at(side * 70.0, -56.0) * size, 15.0 * size), rgb(0x44AA66));
    }
    canvas.fill(&block(at(0.0, 270.0), at(320.0, 340.0), 0.0), rgb(0x88CC88));
    canvas.fill(&ellipse(head, at(0.0, 1.0), 8.0 + 14.0 * grown, 5.0 + 9.0 * grown), rgb(0xEE7799));
    if open > 0.0 {
        blossom(&mut canvas, head, 84.0 * open, rgb(0xFF99BB), rgb(0xFFCC44));
    }
    canvas.into_image()
}

/// A sunrise in so many pictures, in which only the sun moves.
pub(crate) fn sunrise(count: u16) -> Vec<RgbImage> {
    let sky = Canvas::new(480, 272, rgb(0x8EC9EE), rgb(0xFFEBD6));
    let moment = |number: u16| {
        let age = f32::from(number) / f32::from(count - 1);
        let mut canvas = sky.clone();
        canvas.fill(&disc(at(240.0, 250.0 - 165.0 * ease(age)), 38.0), SUNNY);
        canvas.fill(&hill(at(110.0, 160.0), 150.0, 250.0), rgb(0x8ECB9A));
        canvas.fill(&hill(at(390.0, 175.0), 130.0, 260.0), rgb(0x6DBA80));
        canvas.fill(&hill(at(240.0, 215.0), 300.0, 280.0), LEAF);
        canvas.into_image()
    };
    (0..count).map(moment).collect()
}

/// Slow at both ends.
fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

fn tulip(canvas: &mut Canvas, foot: Point, height: f32, colour: Colour) {
    let head = foot - at(0.0, height);
    let size = 26.0 + height * 0.09;
    canvas.fill(&stroke(&curve(foot, foot - at(height * 0.08, height * 0.5), head), size * 0.11), SHADE);
    canvas.fill(&leaf(foot, foot + at(-size * 1.1, -height * 0.55), size * 0.24), LEAF);
    canvas.fill(&leaf(foot, foot + at(size * 1.2, -height * 0.65), size * 0.26), SHADE);
    for side in [-1.0, 1.0] {
        let petal = ellipse(head + at(side * size * 0.34, -size * 0.1), at(side * 0.22, -1.0), size * 0.9, size * 0.42);
        canvas.fill(&petal, colour.mix(INK, 0.12));
    }
    canvas.shade(&ellipse(head, at(0.0, 1.0), size * 0.86, size * 0.5), colour.mix(WHITE, 0.3), colour);
}

fn blossom(canvas: &mut Canvas, centre: Point, radius: f32, petals: Colour, heart: Colour) {
    const SLANT: f32 = FRAC_1_SQRT_2;
    for (x, y) in [(1.0, 0.0), (SLANT, SLANT), (0.0, 1.0), (-SLANT, SLANT)] {
        for side in [-1.0, 1.0] {
            let along = at(x * side, y * side);
            canvas.fill(&ellipse(centre + along * (radius * 0.6), along, radius * 0.42, radius * 0.24), petals);
        }
    }
    canvas.fill(&disc(centre, radius * 0.28), heart);
}

fn badge(canvas: &mut Canvas, centre: Point, radius: f32) {
    canvas.glow(&disc(centre + at(0.0, radius * 0.08), radius), radius * 0.12, INK, 0.25);
    canvas.fill(&disc(centre, radius), CORAL);
    canvas.fill(&ring(centre, radius * 0.88, radius * 0.02), CREAM);
    let (text, height) = ("-30%", radius * 0.36);
    let corner = centre - at(lettering::width(text, height), height) * 0.5;
    lettering::write(canvas, text, corner, height, radius * 0.045, WHITE);
}

fn cloud(canvas: &mut Canvas, centre: Point, scale: f32) {
    for (x, y, radius) in [(-62.0, 6.0, 28.0), (-24.0, -12.0, 40.0), (26.0, -4.0, 34.0), (62.0, 10.0, 24.0)] {
        canvas.fill(&disc(centre + at(x, y) * scale, radius * scale), WHITE);
    }
    canvas.fill(&block(centre + at(-80.0, 4.0) * scale, centre + at(80.0, 34.0) * scale, 15.0 * scale), WHITE);
}

fn shadow(canvas: &mut Canvas, centre: Point, width: f32) {
    let ends = [centre - at(width * 0.85, 0.0), centre + at(width * 0.85, 0.0)];
    canvas.glow(&stroke(&ends, width * 0.05), width * 0.15, INK, 0.35);
}

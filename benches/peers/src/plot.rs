//! The plots, as SVG on a white ground, so that they can be read on any page.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::stats::{Row, fastest};

/// How the values of the horizontal axis lie on it.
#[derive(Clone, Copy, Debug)]
pub enum Across {
    /// Each doubling is as wide as the next.
    Doubling,
    /// Quantiles: each further nine is as wide as the next.
    Nines,
}

impl Across {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Doubling => value.log2(),
            Self::Nines => -(1.0 - value).log10(),
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Doubling => format!("{}", place.exp2().round()),
            Self::Nines => match place.round() as i32 {
                0 => "0 %".to_owned(),
                1 => "90 %".to_owned(),
                2 => "99 %".to_owned(),
                // The nines after the first two are decimals.
                nines => format!("99.{} %", "9".repeat(nines as usize - 2)),
            },
        }
    }
}

/// One peer's line.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// Joins the medians of the fastest modes of the rows of these names, each at its place.
    pub fn of(rows: &[Row], name: &str, places: impl IntoIterator<Item = (usize, String)>) -> Self {
        let points = places.into_iter().filter_map(|(place, peer)| {
            let known = rows.iter().any(|row| row.peer == peer);
            known.then(|| {
                let row = fastest(rows, &[&peer], 50);
                (place as f64, row.percentile(50))
            })
        });
        Self {
            name: name.to_owned(),
            points: points.collect(),
        }
    }
}

/// One picture. Its vertical axis is logarithmic.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The name of the file, without its ending.
    pub file: &'static str,
    pub title: &'static str,
    pub across: Across,
    pub x: &'static str,
    pub y: &'static str,
    pub curves: Vec<Curve>,
}

const SIZE: (u32, u32) = (960, 560);

/// The width of the names beside the curves.
const NAMES: u32 = 210;

const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(222, 222, 222);

impl Plot {
    /// Writes the plot into this directory; `below` is the line under the title that tells of the run.
    pub fn write(&self, directory: &Path, below: &str) -> Result<(), Box<dyn Error>> {
        let path = directory.join(self.file).with_extension("svg");
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let font = ("sans-serif", 14).into_font().color(&INK);
        root.draw(&Text::new(
            self.title,
            (20, 14),
            ("sans-serif", 19).into_font().color(&INK),
        ))?;
        root.draw(&Text::new(
            below.to_owned(),
            (20, 38),
            ("sans-serif", 12)
                .into_font()
                .color(&RGBColor(110, 110, 110)),
        ))?;
        let (_, under) = root.split_vertically(56);
        let (area, names) = under.split_horizontally(SIZE.0 - NAMES);

        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let (mut left, mut right) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut bottom, mut top) = (f64::INFINITY, 0.0_f64);
        for &(x, y) in points {
            let x = self.across.place(x);
            (left, right) = (left.min(x), right.max(x));
            (bottom, top) = (bottom.min(y), top.max(y));
        }
        if left >= right || top <= 0.0 {
            return Err(format!("{} has too few points", self.file).into());
        }
        if let Across::Nines = self.across {
            left = 0.0;
        }
        // Whole decades, so that there is always a number at two lines.
        let (bottom, top) = (decade(bottom, f64::floor), decade(top, f64::ceil));
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(48)
            .y_label_area_size(70)
            .build_cartesian_2d(left..right, (bottom..top).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(font.clone())
            .x_labels(12)
            .y_labels(12)
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|&place| {
                let whole = (place - place.round()).abs() < 1e-6;
                if whole {
                    self.across.label(place)
                } else {
                    String::new()
                }
            })
            .y_label_formatter(&|&value| number(value))
            .draw()?;

        // Ours last, so that it lies above the others.
        let mut curves: Vec<_> = self
            .curves
            .iter()
            .filter(|c| !c.points.is_empty())
            .collect();
        curves.sort_by_key(|curve| is_ours(&curve.name));
        for curve in &curves {
            let style = style(&curve.name);
            let places = curve.points.iter();
            let places = places.map(|&(x, y)| (self.across.place(x), y.max(bottom)));
            chart.draw_series(LineSeries::new(places.clone(), style))?;
            let size = if is_ours(&curve.name) { 4 } else { 3 };
            chart.draw_series(places.map(|place| Circle::new(place, size, style.filled())))?;
        }

        // The names in the order in which the curves end, so that eyes need not search for a colour.
        curves.sort_by(|a, b| last(b).total_cmp(&last(a)));
        for (line, curve) in curves.iter().enumerate() {
            let y = 20 + 22 * line as i32;
            let style = style(&curve.name);
            names.draw(&PathElement::new(vec![(4, y), (26, y)], style))?;
            let text = font.clone().pos(Pos::new(HPos::Left, VPos::Center));
            names.draw(&Text::new(curve.name.clone(), (34, y), text))?;
        }
        root.present()?;
        Ok(())
    }
}

/// Returns the power of ten below or above a value.
fn decade(value: f64, round: fn(f64) -> f64) -> f64 {
    10_f64.powf(round(value.max(0.1).log10()))
}

fn last(curve: &Curve) -> f64 {
    curve.points.last().map_or(0.0, |point| point.1)
}

fn number(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", value / 1e6),
        1e3.. => format!("{} k", value / 1e3),
        _ => format!("{value}"),
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ringbus")
}

/// Returns the line of a peer: the same in every plot, ours bold.
fn style(name: &str) -> ShapeStyle {
    // Each peer by the beginning of its name, the longest first where one begins another.
    const COLOURS: [(&str, RGBColor); 19] = [
        ("ringbus shared", RGBColor(240, 120, 60)),
        ("ringbus Park", RGBColor(150, 20, 70)),
        ("ringbus", RGBColor(205, 20, 30)),
        ("control", RGBColor(120, 120, 120)),
        ("no channel", RGBColor(170, 170, 170)),
        ("rtrb", RGBColor(0, 114, 178)),
        ("disruptor", RGBColor(0, 140, 100)),
        ("crossbeam biased", RGBColor(225, 195, 80)),
        ("crossbeam", RGBColor(215, 150, 0)),
        ("std", RGBColor(86, 180, 233)),
        ("flume", RGBColor(204, 121, 167)),
        ("kanal", RGBColor(120, 90, 200)),
        ("crossfire", RGBColor(90, 60, 20)),
        ("thingbuf", RGBColor(150, 190, 40)),
        ("tokio", RGBColor(30, 60, 120)),
        ("bus", RGBColor(130, 130, 0)),
        ("multiqueue2", RGBColor(0, 170, 190)),
        ("async-broadcast", RGBColor(170, 110, 70)),
        ("Vec", RGBColor(60, 60, 60)),
    ];
    let colour = COLOURS.iter().find(|(start, _)| name.starts_with(start));
    let colour = colour.map_or(BLACK, |(_, colour)| *colour);
    colour.stroke_width(if is_ours(name) { 4 } else { 2 })
}

//! Lines along which a function of the plane has one value, from its values on a grid (marching squares).

use std::collections::BTreeMap;

/// Values at the corners of a grid.
pub(crate) struct Grid {
    pub x: (f64, f64),
    pub y: (f64, f64),
    /// Corners along x and along y.
    pub size: (usize, usize),
    /// Row after row: x varies fastest.
    pub values: Vec<f64>,
}

impl Grid {
    /// The corners in the order of `values`.
    pub(crate) fn corners(x: (f64, f64), y: (f64, f64), size: (usize, usize)) -> Vec<[f64; 2]> {
        let at = |range: (f64, f64), i: usize, n: usize| range.0 + (range.1 - range.0) * i as f64 / (n - 1) as f64;
        (0..size.0 * size.1).map(|k| [at(x, k % size.0, size.0), at(y, k / size.0, size.1)]).collect()
    }

    /// The value at a corner, moved off the level so that no line goes through a corner.
    fn above(&self, i: usize, j: usize, level: f64) -> f64 {
        let value = self.values[j * self.size.0 + i] - level;
        if value == 0.0 { f64::MIN_POSITIVE } else { value }
    }

    /// The contour at `level`: one list of points for each line, closed where the first is the last.
    pub(crate) fn contour(&self, level: f64) -> Vec<Vec<(f64, f64)>> {
        // A line crosses a cell from edge to edge. An edge has at most two cells, so it has at most two neighbours.
        let mut neighbours: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for j in 0..self.size.1 - 1 {
            for i in 0..self.size.0 - 1 {
                for (a, b) in self.crossings(i, j, level) {
                    neighbours.entry(a).or_default().push(b);
                    neighbours.entry(b).or_default().push(a);
                }
            }
        }
        let mut lines = Vec::new();
        // First the lines that end at the border, then the closed ones.
        let ends: Vec<usize> = neighbours.iter().filter(|(_, n)| n.len() == 1).map(|(e, _)| *e).collect();
        let all: Vec<usize> = ends.into_iter().chain(neighbours.keys().copied()).collect();
        for start in all {
            let Some(mut next) = neighbours.get_mut(&start).and_then(Vec::pop) else { continue };
            let mut edges = vec![start];
            loop {
                let from = edges[edges.len() - 1];
                edges.push(next);
                let others = neighbours.entry(next).or_default();
                if let Some(back) = others.iter().position(|e| *e == from) {
                    others.swap_remove(back);
                }
                match others.pop() {
                    Some(further) => next = further,
                    None => break,
                }
            }
            lines.push(edges.into_iter().map(|e| self.point(e, level)).collect());
        }
        lines
    }

    /// An edge by its lower or left corner (i, j): even numbers go along x, odd ones along y.
    fn edge(&self, i: usize, j: usize, is_upright: bool) -> usize {
        2 * (j * self.size.0 + i) + usize::from(is_upright)
    }

    /// Pairs of edges of the cell (i, j) that the line at `level` connects.
    fn crossings(&self, i: usize, j: usize, level: f64) -> Vec<(usize, usize)> {
        let (bottom, top) = (self.edge(i, j, false), self.edge(i, j + 1, false));
        let (left, right) = (self.edge(i, j, true), self.edge(i + 1, j, true));
        // Around the cell, each edge between the corner before and the corner after it.
        let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)].map(|(i, j)| self.above(i, j, level));
        let edges = [bottom, right, top, left];
        let crossed: Vec<usize> =
            (0..4).filter(|&k| (corners[k] > 0.0) != (corners[(k + 1) % 4] > 0.0)).map(|k| edges[k]).collect();
        match crossed[..] {
            [a, b] => vec![(a, b)],
            // A saddle: the middle is with the first corner, or against it.
            [a, b, c, d] if (corners.iter().sum::<f64>() > 0.0) == (corners[0] > 0.0) => vec![(a, b), (c, d)],
            [a, b, c, d] => vec![(d, a), (b, c)],
            _ => vec![],
        }
    }

    fn point(&self, edge: usize, level: f64) -> (f64, f64) {
        let (i, j) = (edge / 2 % self.size.0, edge / 2 / self.size.0);
        let (di, dj) = (1 - edge % 2, edge % 2);
        let (a, b) = (self.above(i, j, level), self.above(i + di, j + dj, level));
        let t = a / (a - b);
        let at = |range: (f64, f64), i: f64, n: usize| range.0 + (range.1 - range.0) * i / (n - 1) as f64;
        (at(self.x, i as f64 + t * di as f64, self.size.0), at(self.y, j as f64 + t * dj as f64, self.size.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(f: impl Fn(f64, f64) -> f64) -> Grid {
        let (x, y, size) = ((-2.0, 2.0), (-1.5, 1.5), (81, 61));
        Grid { x, y, size, values: Grid::corners(x, y, size).iter().map(|c| f(c[0], c[1])).collect() }
    }

    #[test]
    fn a_circle_is_one_closed_line() {
        let lines = grid(|x, y| x * x + y * y).contour(1.0);
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line[0], line[line.len() - 1]);
        assert!(line.iter().all(|p| (p.0.hypot(p.1) - 1.0).abs() < 1e-3));
        let length: f64 = line.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum();
        assert!((length / std::f64::consts::TAU - 1.0).abs() < 1e-3, "{length}");
    }

    #[test]
    fn lines_end_at_the_border_and_do_not_cross_in_saddles() {
        for level in [-0.01, 0.0003, 0.01] {
            let lines = grid(|x, y| x * y).contour(level);
            assert_eq!(lines.len(), 2, "{level}");
            for line in &lines {
                let side = line[0].0.signum();
                assert!(line.iter().all(|p| p.0.signum() == side && (p.0 * p.1 - level).abs() < 1e-3), "{level}");
                let is_border = |p: &(f64, f64)| (p.0.abs() - 2.0).abs() < 1e-9 || (p.1.abs() - 1.5).abs() < 1e-9;
                assert!(is_border(&line[0]) && is_border(&line[line.len() - 1]), "{level}");
            }
        }
        assert!(grid(|x, _| x).contour(5.0).is_empty());
    }
}

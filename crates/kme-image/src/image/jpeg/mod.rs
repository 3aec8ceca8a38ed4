//! JPEG files (ITU-T T.81), decoded to the bits of libjpeg-turbo.
//!
//! The standard leaves the inverse transform's rounding and the interpolation of chroma to the decoder, and decoders differ
//! by several levels at 4:2:0. The tools of the field read through Pillow, hence libjpeg-turbo with its defaults: the accurate
//! transform in whole numbers ([`transform`]), and chroma by triangle filters ([`upsample`]). This decoder takes the same
//! decisions, so that a folder of JPEG files has their pixels. Where a progressive file ends before its last scan, libjpeg
//! estimates what is not there from neighbouring blocks, and so does this ([`smooth`]).
//!
//! Read are sequential and progressive files of 8 bits by Huffman codes, in 1, 3 or 4 components. A file whose data end early
//! is an error: libjpeg would fill up with grey.

mod entropy;
mod scan;
mod smooth;
mod transform;
mod upsample;

use entropy::Table;
use scan::Scan;
pub(super) use upsample::subtractive;

/// Side of a block.
const SIDE: usize = 8;
/// Coefficients of a block.
const BLOCK: usize = SIDE * SIDE;

/// Place of the coefficients in a block (row · 8 + column), in the order of the file (figure A.6).
const ZIGZAG: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

type Result<T> = std::result::Result<T, String>;

/// A file whose headers were read up to the first scan.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    progressive: bool,
    components: Vec<Component>,
    quantisers: [Option<[u16; BLOCK]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
    jfif: bool,
    adobe: Option<u8>,
    /// The content of the EXIF segment behind its name.
    pub(super) exif: Option<&'a [u8]>,
    /// Whether three components are YCbCr, where something else than the file says it.
    chroma: Option<bool>,
}

/// A component of the picture: its sampling factors, and its coefficients in whole MCUs.
struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
    quantiser: usize,
    /// The table as it was when the component's first scan began.
    latched: Option<[u16; BLOCK]>,
    /// Samples that belong to the picture.
    height: usize,
    width: usize,
    /// Blocks of a row, filled up to whole MCUs.
    stride: usize,
    rows: usize,
    /// Of a progressive file those of all blocks, else those of a row of MCUs.
    coefficients: Vec<i16>,
    samples: Vec<u8>,
    /// The vertical sampling factor in the file, which means nothing where there is one component.
    declared: usize,
    /// Of the first coefficients in the order of the file, how many lower bits are still to come; none where all are.
    known: [Option<u8>; smooth::LOW],
}

/// A decoded picture, its samples interleaved.
pub(super) enum Pixels {
    Grey(Vec<u8>),
    Rgb(Vec<u8>),
    /// Only of a part of a TIFF file.
    Four(Vec<u8>),
}

fn cut_off() -> String {
    "cut off".into()
}

fn word(bytes: &[u8], at: usize) -> Result<usize> {
    match bytes.get(at..at + 2) {
        Some(two) => Ok(usize::from(two[0]) << 8 | usize::from(two[1])),
        None => Err(cut_off()),
    }
}

impl<'a> Jpeg<'a> {
    /// Reads the headers up to the first scan; nothing that grows with the picture is allocated.
    ///
    /// # Errors
    /// When they are damaged, or of a kind that is not read.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        Self::begin(bytes)?.with_headers()
    }

    /// The same for a part of a TIFF file: `tables` that are shared come before it, and whether its three components are
    /// YCbCr, or RGB, stands outside.
    ///
    /// # Errors
    /// As [`Jpeg::open`].
    pub(super) fn open_part(bytes: &'a [u8], tables: Option<&'a [u8]>, chroma: bool) -> Result<Self> {
        let mut jpeg = Self::begin(tables.unwrap_or(bytes))?;
        jpeg.chroma = Some(chroma);
        if tables.is_some() {
            if jpeg.headers()? || !jpeg.components.is_empty() {
                return Err("tables that hold a picture".into());
            }
            let part = Self::begin(bytes)?;
            (jpeg.bytes, jpeg.at) = (part.bytes, part.at);
        }
        jpeg.with_headers()
    }

    fn begin(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Err("it does not begin with a JPEG marker".into());
        }
        Ok(Self {
            bytes,
            at: 2,
            height: 0,
            width: 0,
            progressive: false,
            components: Vec::new(),
            quantisers: Default::default(),
            dc: Default::default(),
            ac: Default::default(),
            restart: 0,
            jfif: false,
            adobe: None,
            exif: None,
            chroma: None,
        })
    }

    fn with_headers(mut self) -> Result<Self> {
        match self.headers()? {
            true if !self.components.is_empty() => Ok(self),
            true => Err("a scan comes before the frame".into()),
            false => Err("it holds no picture".into()),
        }
    }

    /// Whether it has colours.
    pub(super) fn has_colours(&self) -> bool {
        self.components.len() > 1
    }

    /// Decodes all scans.
    ///
    /// # Errors
    /// When the data are damaged or end early.
    pub(super) fn decode(mut self) -> Result<Pixels> {
        for component in &mut self.components {
            let rows = if self.progressive { component.rows } else { component.vertical };
            component.coefficients = vec![0; component.stride * rows * BLOCK];
            component.samples = vec![0; component.stride * component.rows * BLOCK];
        }
        loop {
            self.scan()?;
            if !self.headers()? {
                break;
            }
        }
        self.smooth();
        for component in &mut self.components {
            let quantiser = component.latched.ok_or("a component has no data")?;
            if self.progressive {
                component.emit(0, &quantiser);
            }
            component.coefficients = Vec::new();
        }
        let planes: Vec<upsample::Plane> = self.components.drain(..).map(upsample::Plane::from).collect();
        let model = self.model(&planes);
        Ok(upsample::pixels(&planes, model, self.height, self.width))
    }

    /// Reads segments up to the next scan, whose header comes next: true; or to the end of the picture: false.
    fn headers(&mut self) -> Result<bool> {
        loop {
            let marker = self.marker()?;
            match marker {
                0xd9 => return Ok(false),
                0xda => return Ok(true),
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let length = word(self.bytes, self.at)?;
            let segment = self.bytes.get(self.at + 2..self.at + length).ok_or_else(cut_off)?;
            self.at += length;
            match marker {
                0xc0..=0xc2 => self.frame(segment, marker == 0xc2)?,
                0xc4 => self.codes(segment)?,
                0xdb => self.quantisers(segment)?,
                0xdd => self.restart = word(segment, 0)?,
                0xc3 | 0xc5..=0xc7 | 0xcb | 0xcd..=0xcf | 0xc9 | 0xca => {
                    let kind = match marker {
                        0xc3 | 0xc7 | 0xcb | 0xcf => "lossless",
                        0xc9 | 0xca | 0xcd | 0xce => "by arithmetic codes",
                        _ => "hierarchical",
                    };
                    return Err(format!("a kind of JPEG that is not read: {kind}"));
                }
                0xe0 if segment.starts_with(b"JFIF\0") => self.jfif = true,
                0xe1 if self.exif.is_none() => self.exif = segment.strip_prefix(b"Exif\0\0"),
                0xee if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
                _ => {}
            }
        }
    }

    /// The next marker. Bytes before it that belong to nothing are passed over, as libjpeg does.
    fn marker(&mut self) -> Result<u8> {
        loop {
            match self.bytes.get(self.at..self.at + 2) {
                None => return Err("cut off: its end marker is missing".into()),
                Some([0xff, 0x00]) => self.at += 2,
                Some([0xff, 0xff]) | Some([0..=0xfe, _]) => self.at += 1,
                Some(two) => {
                    self.at += 2;
                    return Ok(two[1]);
                }
            }
        }
    }

    fn frame(&mut self, segment: &[u8], progressive: bool) -> Result<()> {
        if !self.components.is_empty() {
            return Err("it has two frames".into());
        }
        let &[precision, _, _, _, _, count, ..] = segment else { return Err(cut_off()) };
        (self.height, self.width, self.progressive) = (word(segment, 1)?, word(segment, 3)?, progressive);
        if precision != 8 {
            return Err(format!("a kind of JPEG that is not read: of {precision} bits"));
        }
        if self.height == 0 || self.width == 0 {
            return Err(format!("{}×{} pixels: the picture is empty", self.width, self.height));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(format!("{count} components; 1, 3 and 4 are read"));
        }
        let described = segment.get(6..6 + 3 * usize::from(count)).ok_or_else(cut_off)?;
        let mut factors: Vec<[usize; 2]> =
            described.chunks_exact(3).map(|c| [usize::from(c[1] >> 4), usize::from(c[1] & 15)]).collect();
        if factors.iter().flatten().any(|factor| !(1..=4).contains(factor)) {
            return Err("a sampling factor that is not 1 to 4".into());
        }
        let declared: Vec<usize> = factors.iter().map(|factors| factors[1]).collect();
        if count == 1 {
            // Alone, a component's blocks come one by one (A.2.2).
            factors[0] = [1, 1];
        }
        let most = |axis: usize| factors.iter().map(|f| f[axis]).max().unwrap_or(1);
        let (h, v) = (most(0), most(1));
        let mcus = (self.width.div_ceil(h * SIDE), self.height.div_ceil(v * SIDE));
        for ((described, [horizontal, vertical]), declared) in described.chunks_exact(3).zip(factors).zip(declared) {
            if h % horizontal != 0 || v % vertical != 0 {
                return Err("a kind of JPEG that is not read: sampling factors that do not divide each other".into());
            }
            let (id, quantiser) = (described[0], usize::from(described[2]));
            if self.components.iter().any(|component| component.id == id) || quantiser > 3 {
                return Err("a component that is there twice, or without a quantiser".into());
            }
            self.components.push(Component {
                id,
                horizontal,
                vertical,
                quantiser,
                latched: None,
                height: (self.height * vertical).div_ceil(v),
                width: (self.width * horizontal).div_ceil(h),
                stride: mcus.0 * horizontal,
                rows: mcus.1 * vertical,
                coefficients: Vec::new(),
                samples: Vec::new(),
                declared,
                known: [None; smooth::LOW],
            });
        }
        Ok(())
    }

    fn codes(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, rest @ ..] = segment {
            let counts = rest.get(..16).ok_or_else(cut_off)?;
            let total: usize = counts.iter().map(|n| usize::from(*n)).sum();
            let symbols = rest.get(16..16 + total).ok_or_else(cut_off)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(usize::from(head & 15)).filter(|_| head >> 4 < 2);
            *table.ok_or("a Huffman table of a number beyond 3")? = Some(Table::new(counts, symbols)?);
            segment = &rest[16 + total..];
        }
        Ok(())
    }

    fn quantisers(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, rest @ ..] = segment {
            let (wide, number) = (usize::from(head >> 4), usize::from(head & 15));
            if wide > 1 || number > 3 {
                return Err("a quantiser of a number beyond 3".into());
            }
            let values = rest.get(..BLOCK * (1 + wide)).ok_or_else(cut_off)?;
            let mut table = [0; BLOCK];
            for (i, place) in ZIGZAG.iter().enumerate() {
                let value = if wide == 1 { word(values, 2 * i)? as u16 } else { u16::from(values[i]) };
                table[usize::from(*place)] = value;
            }
            self.quantisers[number] = Some(table);
            segment = &rest[values.len()..];
        }
        Ok(())
    }

    /// Reads a scan's header and its data.
    fn scan(&mut self) -> Result<()> {
        let length = word(self.bytes, self.at)?;
        let header = self.bytes.get(self.at + 2..self.at + length).ok_or_else(cut_off)?;
        self.at += length;
        let &[count, ..] = header else { return Err(cut_off()) };
        let named = header.get(1..1 + 2 * usize::from(count)).ok_or_else(cut_off)?;
        let &[first, last, approximation] = header.get(1 + named.len()..).unwrap_or_default() else {
            return Err(cut_off());
        };
        let mut members: Vec<(usize, usize, usize)> = Vec::new();
        for pair in named.chunks_exact(2) {
            let i = self
                .components
                .iter()
                .position(|c| c.id == pair[0])
                .ok_or("a scan of a component that is not there")?;
            if members.iter().any(|(member, ..)| *member == i) {
                return Err("a scan that has a component twice".into());
            }
            let component = &mut self.components[i];
            if !self.progressive && component.latched.is_some() {
                return Err("damaged: the data of a component come twice".into());
            }
            if component.latched.is_none() {
                component.latched = self.quantisers[component.quantiser];
            }
            component.latched.ok_or("a quantiser is missing")?;
            members.push((i, usize::from(pair[1] >> 4), usize::from(pair[1] & 15)));
        }
        for &(member, ..) in &members {
            let known = &mut self.components[member].known;
            let range = usize::from(first)..(usize::from(last) + 1).min(known.len());
            known.get_mut(range).unwrap_or_default().fill(Some(approximation & 15));
        }
        let scan = Scan::new(self.progressive, members, [first, last, approximation >> 4, approximation & 15])?;
        self.at = scan.read(self)?;
        Ok(())
    }

    /// What the components are, as libjpeg guesses it.
    fn model(&self, planes: &[upsample::Plane]) -> upsample::Model {
        use upsample::Model;
        let ids: Vec<u8> = planes.iter().map(|plane| plane.id).collect();
        match (planes.len(), self.adobe) {
            (1, _) => Model::Grey,
            (3, _) if self.chroma == Some(true) => Model::YCbCr,
            (3, _) if self.chroma == Some(false) => Model::Rgb,
            (4, _) if self.chroma.is_some() => Model::Four,
            (3, _) if self.jfif => Model::YCbCr,
            (3, Some(0)) => Model::Rgb,
            (3, None) if ids == *b"RGB" => Model::Rgb,
            (3, _) => Model::YCbCr,
            (_, None | Some(0)) => Model::Cmyk,
            _ => Model::Ycck,
        }
    }
}

#[cfg(test)]
mod tests;

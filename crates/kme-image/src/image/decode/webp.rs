//! What is checked of WebP files before they are decoded.

/// Whether behind the transparency of an animation's first frame there are colours of the size that is announced for it. The
/// decoder relies on that.
///
/// # Errors
/// When there are none.
pub(super) fn check(file: &[u8]) -> Result<(), String> {
    let Some((_, frame)) = chunks(file.get(12..).unwrap_or_default()).find(|(name, _)| name == b"ANMF") else {
        return Ok(());
    };
    let (Some(head), Some(inside)) = (frame.get(..16), frame.get(16..)) else { return Err(cut_off()) };
    let side = |at: usize| 1 + u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
    let mut parts = chunks(inside);
    let Some((b"ALPH", _)) = parts.next().as_ref().map(|(name, data)| (name, data)) else { return Ok(()) };
    let Some((_, data)) = parts.next().filter(|(name, _)| name == b"VP8 ") else {
        return Err("damaged: its first frame has transparency and no colours".into());
    };
    let &[w0, w1, h0, h1] = data.get(6..10).ok_or_else(cut_off)? else { return Err(cut_off()) };
    // The two upper bits are for scaling.
    let size = [[w0, w1], [h0, h1]].map(|side| u32::from(u16::from_le_bytes(side) & 0x3fff));
    match size == [side(6), side(9)] {
        true => Ok(()),
        false => Err("damaged: its first frame is of another size than is announced".into()),
    }
}

fn cut_off() -> String {
    "cut off".into()
}

/// The chunks of a RIFF file, each with its name; the last may be cut off.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_first_chunk::<4>()?;
        let (length, data) = behind.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let found = &data[..length.min(data.len())];
        // They begin at even places.
        rest = data.get(length + length % 2..).unwrap_or_default();
        Some((*name, found))
    })
}

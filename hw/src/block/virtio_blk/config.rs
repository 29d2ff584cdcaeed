//! What a virtio disk is and shows: properties, features, configuration space (virtio 1.2, 5.2.3
//! and 5.2.4).

use include::BlockBackend;

/// Feature bits, as masks (5.2.3).
pub mod feature {
    pub const SEG_MAX: u64 = 1 << 2;
    pub const GEOMETRY: u64 = 1 << 4;
    pub const RO: u64 = 1 << 5;
    pub const BLK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const TOPOLOGY: u64 = 1 << 10;
    pub const CONFIG_WCE: u64 = 1 << 11;
    pub const MQ: u64 = 1 << 12;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// Bytes of a sector, whatever the block size.
pub const SECTOR: u64 = 512;

/// QEMU's properties of virtio-blk, with its defaults.
#[derive(Clone, Debug)]
pub struct BlkConfig {
    /// What GET_ID answers; at most 20 bytes count.
    pub serial: String,
    /// `num-queues`.
    pub queues: u16,
    /// `queue-size`: a power of two.
    pub queue_size: u16,
    /// `seg-max-adjust`: a request may have as many segments as the queue takes; else 126.
    pub seg_max_adjust: bool,
    /// `config-wce`: the guest may switch the write cache.
    pub config_wce: bool,
    /// `discard`: the feature is offered.
    pub discard: bool,
    /// `write-zeroes`: the feature is offered.
    pub write_zeroes: bool,
    pub max_discard_sectors: u32,
    pub max_write_zeroes_sectors: u32,
    /// Bytes; powers of two from 512 on.
    pub logical_block_size: u32,
    pub physical_block_size: u32,
    /// Bytes; 0: nothing is said.
    pub min_io_size: u32,
    pub opt_io_size: u32,
}

/// The queue size that `seg-max-adjust=off` reckons with.
const SEG_MAX_QUEUE_SIZE: u16 = 128;

/// The most sectors that a discard or a write of zeros can name.
pub const RANGE_SECTORS_MAX: u32 = (i32::MAX as u32) >> 9;

impl Default for BlkConfig {
    fn default() -> Self {
        Self {
            serial: String::new(),
            queues: 1,
            queue_size: 256,
            seg_max_adjust: true,
            config_wce: true,
            discard: true,
            write_zeroes: true,
            max_discard_sectors: RANGE_SECTORS_MAX,
            max_write_zeroes_sectors: RANGE_SECTORS_MAX,
            logical_block_size: 512,
            physical_block_size: 512,
            min_io_size: 0,
            opt_io_size: 0,
        }
    }
}

/// The features of a disk on this back end.
pub fn features(config: &BlkConfig, backend: &dyn BlockBackend) -> u64 {
    use feature::*;
    let optional = [
        (config.config_wce, CONFIG_WCE),
        (config.queues > 1, MQ),
        (config.discard, DISCARD),
        (config.write_zeroes, WRITE_ZEROES),
        (backend.is_read_only(), RO),
    ];
    let chosen = optional.iter().filter(|(wanted, _)| *wanted);
    let always = SEG_MAX | GEOMETRY | BLK_SIZE | FLUSH | TOPOLOGY;
    chosen.fold(always, |all, (_, bit)| all | bit)
}

/// Offset of the byte that the guest may write.
pub const WRITEBACK: usize = 32;

/// The configuration space.
pub fn space(config: &BlkConfig, backend: &dyn BlockBackend) -> Vec<u8> {
    let sectors = backend.len() / SECTOR;
    let (cylinders, heads, per_track) = geometry(sectors);
    let block = config.logical_block_size.max(SECTOR as u32);
    let exponent = (config.physical_block_size / block).max(1).ilog2();
    let mut space = Vec::with_capacity(60);
    space.extend(sectors.to_le_bytes());
    space.extend(0u32.to_le_bytes()); // size_max: no limit
    let adjusted = match config.seg_max_adjust {
        true => config.queue_size,
        false => SEG_MAX_QUEUE_SIZE,
    };
    space.extend(u32::from(adjusted.saturating_sub(2)).to_le_bytes());
    space.extend(cylinders.to_le_bytes());
    space.extend([heads, per_track]);
    space.extend(block.to_le_bytes());
    space.extend([exponent as u8, 0]);
    space.extend(((config.min_io_size / block) as u16).to_le_bytes());
    space.extend((config.opt_io_size / block).to_le_bytes());
    assert_eq!(space.len(), WRITEBACK, "fields before 'writeback'");
    space.extend([u8::from(backend.is_writeback()), 0]);
    space.extend(config.queues.to_le_bytes());
    space.extend(config.max_discard_sectors.to_le_bytes());
    space.extend(1u32.to_le_bytes()); // max_discard_seg
    space.extend((block / SECTOR as u32).to_le_bytes()); // discard_sector_alignment
    space.extend(config.max_write_zeroes_sectors.to_le_bytes());
    space.extend(1u32.to_le_bytes()); // max_write_zeroes_seg
    space.extend([1, 0, 0, 0]); // write_zeroes_may_unmap
    space
}

/// Cylinders, heads and sectors for drivers that want some: as QEMU makes them up.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    const HEADS: u64 = 16;
    const PER_TRACK: u64 = 63;
    let cylinders = (sectors / (HEADS * PER_TRACK)).clamp(2, 16383);
    (cylinders as u16, HEADS as u8, PER_TRACK as u8)
}

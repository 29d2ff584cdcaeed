//! Registers of the PC16550D, by the names of its datasheet (table II, section 8).

/// Bytes of the register window.
pub const SIZE: u64 = 8;

/// Offsets when they are read or written; DLAB turns the first two into the divisor latch.
pub mod offset {
    /// Receiver Buffer (read), Transmitter Holding (write), Divisor Latch low (DLAB).
    pub const RBR_THR_DLL: u64 = 0;
    /// Interrupt Enable, Divisor Latch high (DLAB).
    pub const IER_DLM: u64 = 1;
    /// Interrupt Identification (read), FIFO Control (write).
    pub const IIR_FCR: u64 = 2;
    /// Line Control.
    pub const LCR: u64 = 3;
    /// Modem Control.
    pub const MCR: u64 = 4;
    /// Line Status.
    pub const LSR: u64 = 5;
    /// Modem Status.
    pub const MSR: u64 = 6;
    /// Scratch.
    pub const SCR: u64 = 7;
}

/// Interrupt Enable Register (8.5).
pub mod ier {
    /// Received data available and character timeout.
    pub const ERBFI: u8 = 1 << 0;
    /// Transmitter holding register empty.
    pub const ETBEI: u8 = 1 << 1;
    /// Receiver line status.
    pub const ELSI: u8 = 1 << 2;
    /// Modem status.
    pub const EDSSI: u8 = 1 << 3;
    pub const ALL: u8 = 0x0f;
}

/// Interrupt Identification Register (8.6, table IV), highest priority first.
pub mod iir {
    pub const RECEIVER_LINE_STATUS: u8 = 0x06;
    pub const CHARACTER_TIMEOUT: u8 = 0x0c;
    pub const RECEIVED_DATA_AVAILABLE: u8 = 0x04;
    pub const THR_EMPTY: u8 = 0x02;
    pub const MODEM_STATUS: u8 = 0x00;
    pub const NONE: u8 = 0x01;
    /// Both set while the FIFOs are enabled.
    pub const FIFOS_ENABLED: u8 = 0xc0;
}

/// FIFO Control Register (8.4).
pub mod fcr {
    pub const FIFO_ENABLE: u8 = 1 << 0;
    pub const RCVR_FIFO_RESET: u8 = 1 << 1;
    pub const XMIT_FIFO_RESET: u8 = 1 << 2;
    pub const DMA_MODE: u8 = 1 << 3;
    pub const RCVR_TRIGGER: u8 = 0xc0;
    /// The bits that stay; the resets clear themselves.
    pub const KEPT: u8 = FIFO_ENABLE | DMA_MODE | RCVR_TRIGGER;

    /// Bytes in the receive FIFO that raise the interrupt.
    pub const fn trigger_level(fcr: u8) -> usize {
        [1, 4, 8, 14][(fcr >> 6) as usize]
    }
}

/// Line Control Register (8.1).
pub mod lcr {
    pub const WORD_LENGTH: u8 = 0x03;
    pub const STB: u8 = 1 << 2;
    pub const PEN: u8 = 1 << 3;
    pub const DLAB: u8 = 1 << 7;

    /// Bits of one character on the line: start, data, parity, stop.
    pub const fn character_bits(lcr: u8) -> u32 {
        let data = 5 + (lcr & WORD_LENGTH) as u32;
        let parity = (lcr & PEN != 0) as u32;
        let stop = 1 + (lcr & STB != 0) as u32;
        1 + data + parity + stop
    }
}

/// Modem Control Register (8.7).
pub mod mcr {
    pub const DTR: u8 = 1 << 0;
    pub const RTS: u8 = 1 << 1;
    pub const OUT1: u8 = 1 << 2;
    pub const OUT2: u8 = 1 << 3;
    pub const LOOP: u8 = 1 << 4;
    pub const ALL: u8 = 0x1f;
}

/// Line Status Register (8.3).
pub mod lsr {
    pub const DR: u8 = 1 << 0;
    pub const OE: u8 = 1 << 1;
    pub const BI: u8 = 1 << 4;
    pub const THRE: u8 = 1 << 5;
    pub const TEMT: u8 = 1 << 6;
    /// What raises the receiver line status interrupt (PE and FE never happen here).
    pub const ERRORS: u8 = OE | BI;
}

/// Modem Status Register (8.8).
pub mod msr {
    pub const DDCD: u8 = 1 << 3;
    pub const TERI: u8 = 1 << 2;
    pub const DDSR: u8 = 1 << 1;
    pub const DCTS: u8 = 1 << 0;
    pub const DELTAS: u8 = DDCD | TERI | DDSR | DCTS;
    pub const CTS: u8 = 1 << 4;
    pub const DSR: u8 = 1 << 5;
    pub const RI: u8 = 1 << 6;
    pub const DCD: u8 = 1 << 7;
}

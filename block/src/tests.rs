//! Nodes and backends over files of the host.

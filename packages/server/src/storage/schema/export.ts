/** Receivers of the record. */
export interface ExportTables {
  /** One row from the first time that a sink is seen; it stays when the sink goes, so that one that comes back goes on. */
  sinks: {
    name: string;
    since: number;
    /** The replica that delivers, until `owned_until` unless it renews. */
    owner: string | null;
    owned_until: number;
    paused_at: number | null;
    paused_by: string | null;
    delivered_at: number | null;
    problem: string | null;
    failing_since: number | null;
    next_try_at: number | null;
    /** What was recorded before it goes by its age without having been sent. */
    let_go_at: number | null;
  };

  /** The next record of a log that is to be delivered: all before it are, or are set aside. */
  sink_positions: { sink: string; log: string; sequence: number; reached: number; missed: number };

  /** Records that a sink refused for good. */
  sink_quarantine: { sink: string; log: string; sequence: number; reason: string; at: number };
}

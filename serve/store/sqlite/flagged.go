package sqlite

import (
	"database/sql"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Levels of rows of flagged events.
const (
	single   = iota
	ofPair   // of a domain, client and verdict in an hour
	ofClient // of a client and verdict
	ofAll    // of a verdict
)

// maxHours bounds the hours of which the collapser knows the rows. It reads others again when it needs them.
const maxHours = 8

// collapser writes flagged events. In an hour with many, some become one row.
type collapser struct {
	*Options
	made  int64 // rows ever; -1 must be read again
	rows  int64 // in the table
	hours map[int64]*hour
}

// hour is what is known of the flagged rows of an hour.
type hour struct {
	rows      int
	collapsed map[group]int64 // their ids
	groups    [ofAll + 1]int  // how many there are of a level
}

type group struct {
	domain, client string
	verdict        detect.Verdict
}

func (c *collapser) start(db *sql.DB, o *Options) error {
	c.Options = o
	c.forget()
	return db.QueryRow(`SELECT count(*) FROM flagged`).Scan(&c.rows)
}

// forget drops what is known, after a transaction was undone.
func (c *collapser) forget() { c.made, c.hours = -1, map[int64]*hour{} }

// write adds rows for events, or counts them in rows that are there.
func (c *collapser) write(tx *sql.Tx, all []store.Event) error {
	if len(all) == 0 {
		return nil
	}
	if c.made < 0 {
		if err := tx.QueryRow(`SELECT value FROM meta WHERE key = 'flagged_rows_made'`).Scan(&c.made); err != nil {
			return err
		}
	}
	more := map[int64]int{} // by id: how many events a row stands for besides
	insert, err := tx.Prepare(`INSERT INTO flagged VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	var args []any
	for i := range all {
		e := all[i]
		h, err := c.hour(tx, e.Time)
		if err != nil {
			return err
		}
		level, g := c.level(h, &e)
		if id, ok := h.collapsed[g]; ok && level > single {
			more[id] += e.Sample
			continue
		}
		id := idOf(&e, c.made)
		args = append(values(args[:0], id, &e), int64(level))
		if _, err := insert.Exec(args...); err != nil {
			return err
		}
		c.made++
		h.add(level, g, id)
	}
	for id, n := range more {
		if _, err := tx.Exec(`UPDATE flagged SET sample = sample + ? WHERE id = ?`, n, id); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`UPDATE meta SET value = ? WHERE key = 'flagged_rows_made'`, c.made)
	return err
}

// level says which row an event goes into, and takes from e what that row does not know.
func (c *collapser) level(h *hour, e *store.Event) (int, group) {
	if h.rows < c.hourRows {
		return single, group{}
	}
	g := group{e.Domain, e.Client, e.Verdict}
	if _, ok := h.collapsed[g]; ok || h.groups[ofPair] < c.hourPairs {
		return ofPair, g
	}
	e.Name, e.Domain, g.domain = "", "", ""
	if _, ok := h.collapsed[g]; ok || h.groups[ofClient] < c.hourPairs {
		return ofClient, g
	}
	e.Client, g.client = "", ""
	return ofAll, g
}

func (h *hour) add(level int, g group, id int64) {
	h.rows++
	if level > single {
		h.groups[level]++
		h.collapsed[g] = id
	}
}

// hour is what is known of the hour of t, from the table if need be.
func (c *collapser) hour(tx *sql.Tx, t time.Time) (*hour, error) {
	start := tally.Floor(t, store.Hour)
	if h := c.hours[start.Unix()]; h != nil {
		return h, nil
	}
	rows, err := tx.Query(`SELECT id, domain, client, verdict, level FROM flagged WHERE id >= ? AND id < ?`,
		firstID(start), firstID(start.Add(time.Hour)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	h := &hour{collapsed: map[group]int64{}}
	for rows.Next() {
		var id, verdict int64
		var level int
		var g group
		if err := rows.Scan(&id, &g.domain, &g.client, &verdict, &level); err != nil {
			return nil, err
		}
		g.verdict = detect.Verdict(verdict)
		h.add(max(single, min(level, ofAll)), g, id)
	}
	if len(c.hours) >= maxHours {
		clear(c.hours)
	}
	c.hours[start.Unix()] = h
	return h, rows.Err()
}

// limit removes the oldest rows beyond the cap, and some more, so that it has nothing to do for a while. If the file
// uses more than room, a twentieth of the rows goes: they may be long ones.
func (c *collapser) limit(tx *sql.Tx, room int64) error {
	used, err := used(tx)
	if err == nil {
		err = tx.QueryRow(`SELECT count(*) FROM flagged`).Scan(&c.rows)
	}
	over := c.rows - c.flaggedRows + c.flaggedRows/100
	if c.rows <= c.flaggedRows {
		over = 0
	}
	if used > room {
		over = max(over, c.rows/20)
	}
	if err != nil || over == 0 {
		return err
	}
	_, err = tx.Exec(`DELETE FROM flagged WHERE id <= (SELECT id FROM flagged ORDER BY id LIMIT 1 OFFSET ?)`, over-1)
	c.hours = map[int64]*hour{} // their rows may be among them
	return err
}

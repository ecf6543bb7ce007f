package sqlite

import (
	"database/sql"
	"time"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// since is the oldest slot that is kept, at the start of an hour or of a day: so the wider step has what a narrower one
// lacks.
func since(step store.Step, now time.Time, keep time.Duration) time.Time {
	return tally.Floor(now.Add(-keep), min(step+1, store.Day))
}

// listsSince is, by step, the oldest slot whose lists and sketches are kept. squeeze may have made it later.
func listsSince(tx *sql.Tx, now time.Time) (out [len(kept)]time.Time, err error) {
	for step := range out {
		var squeezed int64
		if err := tx.QueryRow(`SELECT ifnull(max(value), 0) FROM meta WHERE key = 'lists_since_' || ?`, step).Scan(
			&squeezed); err != nil {
			return out, err
		}
		out[step] = since(store.Step(step), now, kept[step].lists)
		if at := time.Unix(squeezed, 0).UTC(); at.After(out[step]) {
			out[step] = at
		}
	}
	return out, nil
}

// used is how many bytes of degas.db hold something.
func used(tx *sql.Tx) (n int64, err error) {
	return n, tx.QueryRow(`SELECT (page_count - freelist_count) * page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&n)
}

// squeeze forgets the oldest twentieth of all lists and sketches if degas.db uses more than room. The last day of a
// step stays, of minutes the last hour. Wider steps still have what a narrower one forgets.
func squeeze(tx *sql.Tx, now time.Time, room int64) error {
	if n, err := used(tx); err != nil || n <= room {
		return err
	}
	all, err := listsSince(tx, now)
	if err != nil {
		return err
	}
	for i := range all {
		var first int64
		if err := tx.QueryRow(`SELECT ifnull(min(slot), 0) FROM sketch WHERE step = ? AND kind = ?`, i,
			store.Clients).Scan(&first); err != nil {
			return err
		}
		unit := min(store.Step(i)+1, store.Day)
		if at := time.Unix(first, 0); at.After(all[i]) {
			all[i] = tally.Floor(at, unit)
		}
		next := tally.Floor(all[i].Add(now.Sub(all[i])/20+unit.Duration()), unit)
		if next.After(now.Add(-unit.Duration())) {
			continue
		}
		if _, err := tx.Exec(`INSERT OR REPLACE INTO meta VALUES ('lists_since_' || ?, ?)`, i, next.Unix()); err != nil {
			return err
		}
	}
	return nil
}

// expire removes slots that are too old.
func expire(tx *sql.Tx, now time.Time) error {
	all, err := listsSince(tx, now)
	if err != nil {
		return err
	}
	for i, k := range kept {
		step := store.Step(i)
		counts, lists := since(step, now, k.counts).Unix(), all[i].Unix()
		if _, err := tx.Exec(`DELETE FROM count WHERE step = ? AND slot < ?`, step, counts); err != nil {
			return err
		}
		for kind := store.Names; kind <= store.Clients; kind++ {
			_, err := tx.Exec(`DELETE FROM sketch WHERE step = ? AND kind = ? AND slot < ?`, step, kind, lists)
			for _, which := range []int{tally.All, tally.Flagged} {
				if err == nil {
					_, err = tx.Exec(`DELETE FROM top WHERE step = ? AND kind = ? AND flagged = ? AND slot < ?`, step,
						kind, which, lists)
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

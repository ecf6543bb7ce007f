package sqlite

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// maxRows bounds a segment's rows: their numbers are a part of their ids.
const maxRows = 1 << idBits

// guessedRow is how many bytes a row takes, until a segment tells.
const guessedRow = 100

// segments are the files with rows of events that were not flagged.
type segments struct {
	dir   string
	bytes int64 // of a full segment
	log   *slog.Logger

	mu  sync.Mutex
	all []*segment // in the order in which they were begun; the last one may be written to
	// left are those that broke.
	left []*segment

	// The writer's:
	active  *sql.DB // of the last segment, nil if none is written to
	insert  *sql.Stmt
	changed bool  // a segment was begun
	used    int64 // bytes of active
	number  int64 // of the last segment, also of one that is left out
}

// segment is a file. Its fields are guarded by segments.mu.
type segment struct {
	number      int64
	path        string
	first, last int64   // the least and the greatest id; last is 0 if it is empty
	rows        int64   // 0 for one that this process only reads
	read        *sql.DB // nil until somebody asked
	users       int     // of read
	dead        bool    // the last user removes the file
}

func (s *segments) path(number int64) string {
	return filepath.Join(s.dir, fmt.Sprintf("events-%08d.db", number))
}

// open finds the segments of a folder. One that is damaged is left alone, and told of: events of other files are still
// worth having.
func (s *segments) open(dir string, o *Options) error {
	s.dir, s.bytes, s.log = dir, o.segmentBytes, o.Log
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var numbers []int64
	for _, entry := range entries {
		var number int64
		n, _ := fmt.Sscanf(entry.Name(), "events-%d.db", &number)
		if n == 1 && entry.Name() == filepath.Base(s.path(number)) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	for i, number := range numbers {
		s.number = number
		one := &segment{number: number, path: s.path(number)}
		if err := one.look(i == len(numbers)-1); err != nil {
			s.log.Warn("a file of events is left out", "error", explain(one.path, err))
			continue
		}
		s.all = append(s.all, one)
	}
	return nil
}

// look finds out what is in the file. A crash may have left the last one without a table.
func (one *segment) look(last bool) error {
	db, err := connect(one.path, last)
	if err != nil {
		return err
	}
	defer db.Close()
	var version int
	if err := db.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	one.rows = maxRows
	if last {
		if _, err := db.Exec(segmentSchema); err != nil {
			return err
		}
		if err := db.QueryRow(`SELECT count(*) FROM event`).Scan(&one.rows); err != nil {
			return err
		}
	}
	// Each alone, so that SQLite looks at the ends of the table only.
	return db.QueryRow(`SELECT ifnull((SELECT min(id) FROM event), 0), ifnull((SELECT max(id) FROM event), 0)`).Scan(
		&one.first, &one.last)
}

// oldest is the time of the first row of the oldest file; zero if there is none.
func (s *segments) oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.last > 0 {
			return time.UnixMilli(one.first >> idBits).UTC()
		}
	}
	return time.Time{}
}

// write adds rows to the last segment, or begins one. done are those that need not be tried again, of which lost were
// given up, since the file is damaged.
func (s *segments) write(all []store.Event) (done, lost int, err error) {
	for done < len(all) {
		if err := s.begin(); err != nil {
			return done, lost, err
		}
		one := s.all[len(s.all)-1]
		part := all[done:min(int64(len(all)), int64(done)+maxRows-one.rows)]
		if err := s.add(one, part); corrupt(err) {
			done, lost = done+len(part), lost+len(part)
			return done, lost, errors.Join(explain(one.path, err), s.finish(true))
		} else if err != nil {
			return done, lost, explain(one.path, err)
		}
		done += len(part)
	}
	return done, lost, nil
}

// begin makes sure that a segment is open for writing that is not full.
func (s *segments) begin() error {
	var one *segment
	if len(s.all) > 0 {
		one = s.all[len(s.all)-1]
	}
	full := one != nil && (one.rows >= maxRows || s.active != nil && s.used >= s.bytes)
	if s.active != nil && !full {
		return nil
	}
	if full {
		if err := s.finish(false); err != nil {
			return err
		}
		one = nil
	}
	if one == nil {
		one = &segment{number: s.number + 1, path: s.path(s.number + 1)}
	}
	return s.activate(one)
}

// activate opens a segment for writing. It becomes the last one.
func (s *segments) activate(one *segment) error {
	db, err := connect(one.path, true)
	if err != nil {
		return err
	}
	if _, err = db.Exec(segmentSchema); err == nil {
		s.insert, err = db.Prepare(inserts(many))
	}
	if err != nil {
		return errors.Join(explain(one.path, err), db.Close())
	}
	s.active, s.changed, s.used, s.number = db, true, 0, max(s.number, one.number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 || s.all[len(s.all)-1] != one {
		s.all = append(s.all, one)
	}
	return nil
}

// add writes rows in one transaction.
func (s *segments) add(one *segment, all []store.Event) error {
	first, last, number := one.first, one.last, one.rows
	err := transact(s.active, func(tx *sql.Tx) error {
		insert := tx.Stmt(s.insert)
		args := make([]any, 0, many*numColumns)
		for part := range slices.Chunk(all, many) {
			args = args[:0]
			for i := range part {
				id := idOf(&part[i], number)
				if number++; number == 1 {
					first = id
				}
				first, last = min(first, id), max(last, id)
				args = values(args, id, &part[i])
			}
			var err error
			if len(part) == many {
				_, err = insert.Exec(args...)
			} else {
				_, err = tx.Exec(inserts(len(part)), args...)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	one.first, one.last, one.rows = first, last, number
	s.mu.Unlock()
	var pages, size int64
	if err := s.active.QueryRow(`SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`).Scan(&pages,
		&size); err != nil {
		return err
	}
	s.used = pages * size
	return nil
}

// finish closes the segment that is written to. With broken, nobody reads it any more either; the file stays.
func (s *segments) finish(broken bool) error {
	if s.active == nil {
		return nil
	}
	err := errors.Join(s.insert.Close(), s.active.Close())
	s.active, s.insert = nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if broken {
		last := len(s.all) - 1
		s.left = append(s.left, s.all[last])
		s.all = s.all[:last]
	}
	return err
}

// limit removes the oldest segments until the rest takes at most room. It gives what the rest takes.
func (s *segments) limit(room int64) (sum int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := make([]int64, len(s.all))
	for i, one := range s.all {
		if sizes[i], err = size(one.path); err != nil {
			return 0, err
		}
		sum += sizes[i]
	}
	for i := 0; sum > room && len(s.all) > 1; i++ {
		one := s.all[0]
		s.all = slices.Delete(s.all, 0, 1)
		one.dead = true
		if one.users == 0 {
			err = errors.Join(err, one.remove())
		}
		sum -= sizes[i]
	}
	return sum, err
}

// remove deletes the file, and what SQLite keeps beside it.
func (one *segment) remove() (err error) {
	if one.read != nil {
		err = one.read.Close()
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if e := os.Remove(one.path + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// rowBytes is how many bytes a row takes in the last segment.
func (s *segments) rowBytes() float64 {
	if n := len(s.all); s.active != nil && s.all[n-1].rows >= 1000 {
		return float64(s.used) / float64(s.all[n-1].rows)
	}
	return guessedRow
}

// use gives a segment's database for reading, until done is called. ok is false if the segment is gone.
func (s *segments) use(one *segment) (db *sql.DB, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.dead && one.users == 0 {
		return nil, nil, errGone
	}
	if one.read == nil {
		if one.read, err = connect(one.path, false); err != nil {
			return nil, nil, err
		}
	}
	one.users++
	return one.read, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if one.users--; one.users == 0 && one.dead {
			if err := one.remove(); err != nil {
				s.log.Warn("an old file of events cannot be removed", "error", err)
			}
		}
	}, nil
}

var errGone = errors.New("the segment is gone")

// source is a segment as it was at a moment.
type source struct {
	*segment
	first, last int64
}

// list are the segments that have rows, the one with the newest event first.
func (s *segments) list() []source {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]source, 0, len(s.all))
	for _, one := range s.all {
		if one.last > 0 {
			out = append(out, source{one, one.first, one.last})
		}
	}
	slices.SortFunc(out, func(a, b source) int { return cmp.Compare(b.last, a.last) })
	return out
}

func (s *segments) close() error {
	err := s.finish(false)
	for _, one := range slices.Concat(s.all, s.left) {
		if one.read != nil {
			err = errors.Join(err, one.read.Close())
		}
	}
	return err
}

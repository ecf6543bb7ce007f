package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/storetest"
)

func TestStore(t *testing.T) {
	dirs := map[string]string{}
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T, place string) store.Store {
			key := t.Name() + place
			if dirs[key] == "" {
				dirs[key] = filepath.Join(t.TempDir(), "events")
			}
			s, err := Open(dirs[key], Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Refresh: func(t *testing.T, s store.Store) {
			if err := s.(*Store).flush(false); err != nil {
				t.Error(err)
			}
		},
	})
}

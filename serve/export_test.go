package serve

import "strings"

// Kept says that the stream has kept n events.
func (i *Intake) Kept(n int) { i.kept(n) }

// Routes are the patterns of degas' own routes below /v1/.
func (s *Server) Routes() (all []string) {
	for pattern := range s.scopes {
		if method, path, ok := strings.Cut(pattern, " "); ok && method != "" && strings.HasPrefix(path, "/v1/") {
			all = append(all, pattern)
		}
	}
	return all
}

// Package all imports every format of events, so that events.Open recognises all of them.
package all

import (
	_ "github.com/degas-dns/degas/events/capture"
	_ "github.com/degas-dns/degas/events/cdns"
	_ "github.com/degas-dns/degas/events/dnstap"
	_ "github.com/degas-dns/degas/events/logs"
	_ "github.com/degas-dns/degas/events/parquet"
	_ "github.com/degas-dns/degas/events/sqlite"
)

package detect

// Kinds of zones, beside those that the public suffix list knows.
const (
	cloudZone = 1 + iota // machines make up the labels below it
	openZone             // anyone gets a label below it
)

// zoneLabels is the most labels that a zone has.
const zoneLabels = 4

// zones are known zones. Everything else is as the public suffix list says; its private section has most of the
// providers that hand out names.
var zones = func() map[string]uint8 {
	all := map[string]uint8{}
	for _, z := range clouds {
		all[z] = cloudZone
	}
	for _, z := range dynamic {
		all[z] = openZone
	}
	return all
}()

// clouds are zones of clouds, CDNs and builders of sites that the public suffix list has. Their labels are identifiers
// and words that people choose for projects, and each needs an account: no DGA registers there.
var clouds = []string{
	// Amazon, Microsoft, Google
	"amazonaws.com", "amazonaws.com.cn", "appspot.com", "awsglobalaccelerator.com", "azure-api.net", "azurecontainer.io",
	"azureedge.net", "azurefd.net", "azurestaticapps.net", "azurewebsites.net", "cloudapp.net", "cloudfront.net",
	"cloudfunctions.net", "elasticbeanstalk.com", "firebaseapp.com", "googleapis.com", "on.aws", "run.app",
	"trafficmanager.net", "web.app", "windows.net",
	// CDNs
	"akadns.net", "akamai.net", "akamaiedge.net", "akamaihd.net", "akamaized.net", "cdn77.org", "cloudflare.net",
	"edgekey.net", "edgesuite.net", "fastly.net", "fastlylb.net", "r2.dev",
	// hosting of applications and pages
	"digitaloceanspaces.com", "fly.dev", "github.io", "githubusercontent.com", "gitlab.io", "herokuapp.com",
	"netlify.app", "ondigitalocean.app", "onrender.com", "pages.dev", "vercel.app", "workers.dev",
}

// dynamic are zones of dynamic DNS that the public suffix list does not have. Families such as kraken live there.
var dynamic = []string{
	"3322.org", "8800.org", "8866.org", "afraid.org", "changeip.com", "changeip.net", "chickenkiller.com", "crabdance.com",
	"ddns.info", "ddns.name", "ddns.us", "dns.army", "dynamicdns.biz", "dynamicdns.co.uk", "dynserv.com", "dynu.com",
	"f3322.net", "ftp.sh", "gicp.net", "homenet.org", "ignorelist.com", "jumpingcrab.com", "linkpc.net", "mooo.com",
	"my.to", "oicp.net", "publicvm.com", "soon.it", "strangled.net", "twilightparadox.com", "uk.to", "us.to", "vicp.net",
	"xicp.net", "yi.org",
}

package synth

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed benign.txt
var benignText string

// benignSites are some 4,900 registered domains of companies, media, universities, administrations and
// projects, typed from general knowledge, sorted. They say nothing about a site being safe.
var benignSites = strings.Fields(benignText)

var (
	webHosts = strings.Fields(`www www www www www www m mail webmail smtp imap mx mx1 mx2 ns1 ns2 ns3 api api2 app
		apps auth login sso id account accounts my secure shop store blog news forum wiki docs help support
		status static assets cdn cdn1 cdn2 img img1 img2 images media video files download downloads ftp
		update updates dev test staging beta demo portal intranet remote vpn git jira calendar chat events
		ads ad track tracking pixel metrics stats analytics telemetry collect push ws edge origin cache proxy
		gateway lb en de fr es ja ru zh jobs careers investors press about research library lib cs math
		physics med law alumni autodiscover lyncdiscover enterpriseregistration sip wpad time ntp pool`)
	roles = strings.Fields("img cdn edge api web app node cache db lb proxy mail mx gw srv host fe be pop stream log " +
		"stat vod live")
	regions = strings.Fields(`us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-west-2 eu-west-3 eu-central-1
		eu-north-1 ap-south-1 ap-southeast-1 ap-southeast-2 ap-northeast-1 ca-central-1 sa-east-1`)
	airports = strings.Fields("fra ams lhr cdg mad mxp zrh vie arn cph waw prg iad jfk ord dfw lax sjc sea atl mia yyz " +
		"gru nrt hkg sin syd bom dxb jnb")
	stages   = strings.Fields("prod production stage staging int test qa dev live blue green canary")
	services = strings.Fields("_sip._tcp _sips._tcp _xmpp-client._tcp _xmpp-server._tcp _ldap._tcp _kerberos._udp " +
		"_dmarc _mta-sts _imaps._tcp _submission._tcp _caldavs._tcp")
)

// benignName is an ordinary name as resolvers see them: sites, their hosts, and the names that machines
// ask for, which are the hard ones. shape is the index of these in infrastructure, -1 for another name.
func benignName(d *dice) (name string, shape int) {
	site := d.pick(benignSites)
	if d.chance(30) {
		site = smallSite(d, false)
	}
	switch n := d.below(100); {
	case n < 42:
		return site, -1
	case n < 72:
		return d.pick(webHosts) + "." + site, -1
	case n < 82:
		return machineHost(d) + "." + site, -1
	default:
		shape = d.below(len(infrastructure))
		return infrastructure[shape].make(d), shape
	}
}

// machineHost is a host that a script named: a role, a number, a place.
func machineHost(d *dice) string {
	role := d.pick(roles)
	switch d.below(9) {
	case 0:
		return fmt.Sprintf("%s%d", role, d.between(1, 48))
	case 1:
		return fmt.Sprintf("%s-%02d.%s", role, d.between(1, 24), d.pick(regions))
	case 2:
		return fmt.Sprintf("%s%02d.%s%d", role, d.between(1, 24), d.pick(airports), d.between(1, 9))
	case 3:
		return fmt.Sprintf("%s.%s", role, d.pick(stages))
	case 4:
		return fmt.Sprintf("%s-%s-%s", d.pick(stages), role, d.pick(zoneWords))
	case 5:
		return fmt.Sprintf("%s-%s-%d", d.pick(zoneWords), role, d.between(1, 9))
	case 6:
		return d.pick(services)
	case 7:
		return d.pick(selectors) + "._domainkey"
	default:
		return fmt.Sprintf("%s.%s", d.pick(zoneWords), d.pick(webHosts))
	}
}

// hard adds up to count different benign names of each kind that detectors take for DGA names or tunnels.
func (s *sampler) hard(count int) {
	kinds := map[string][]func(*dice) string{
		"service": {func(d *dice) string { return d.pick(services) + "." + d.pick(benignSites) }},
		"dkim":    {func(d *dice) string { return d.pick(selectors) + "._domainkey." + d.pick(benignSites) }},
	}
	for _, shape := range infrastructure {
		kinds[shape.kind] = append(kinds[shape.kind], shape.make)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for got, fruitless := 0, 0; got < count && fruitless < giveUp; {
			if s.add(Row{Name: kinds[kind][s.below(len(kinds[kind]))](s.dice), Class: ClassBenign, Family: kind}) {
				got, fruitless = got+1, 0
			} else {
				fruitless++
			}
		}
	}
}

const (
	hexDigits   = "0123456789abcdef"
	base32Lower = lower + "234567"
)

func dashedIP(d *dice) string {
	return fmt.Sprintf("%d-%d-%d-%d", d.between(3, 223), d.below(256), d.below(256), d.between(1, 254))
}

func dottedIP(d *dice) string { return strings.ReplaceAll(dashedIP(d), "-", ".") }

func uuid(d *dice) string {
	h := d.text(32, hexDigits)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// infrastructure are shapes of machine-made names that are no tunnel and no DGA, however much they look
// like either: content networks, clouds, reverse look-ups, block lists, anti-virus look-ups.
var infrastructure = []struct {
	kind string // what SampleOptions.Hard calls it
	make func(*dice) string
}{
	{"cdn", func(d *dice) string { return "d" + d.text(13, lowerDigits) + ".cloudfront.net" }},
	{"cdn", func(d *dice) string {
		return fmt.Sprintf("e%d.%s.akamaiedge.net", d.between(100, 39999), d.pick(akamaiMaps))
	}},
	{"cdn", func(d *dice) string {
		return fmt.Sprintf("a%s.deploy.static.akamaitechnologies.com", dashedIP(d))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("ec2-%s.%s.compute.amazonaws.com", dashedIP(d), d.pick(regions))
	}},
	{"cloud", func(d *dice) string {
		balancer := d.pick(zoneWords) + "-" + d.text(16, hexDigits)
		return fmt.Sprintf("%s-%d.%s.elb.amazonaws.com", balancer, d.between(100000000, 1999999999), d.pick(regions))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("%s-%s.s3.%s.amazonaws.com", d.pick(zoneWords), d.pick(zoneWords), d.pick(regions))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("%s.execute-api.%s.amazonaws.com", d.text(10, lowerDigits), d.pick(regions))
	}},
	{"cdn", func(d *dice) string {
		return fmt.Sprintf("r%d---sn-%s.googlevideo.com", d.between(1, 20), d.text(8, base32Lower))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("%s.%s.r.cloudflarestorage.com", d.pick(zoneWords), d.text(32, hexDigits))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("%s%s.blob.core.windows.net", d.pick(zoneWords), d.text(d.between(2, 6), lowerDigits))
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("%s-%s.azurewebsites.net", d.pick(zoneWords), d.pick(stages))
	}},
	{"cdn", func(d *dice) string {
		return fmt.Sprintf("scontent-%s%d-%d.xx.fbcdn.net", d.pick(airports), d.between(1, 9), d.between(1, 3))
	}},
	{"hosting", func(d *dice) string {
		return fmt.Sprintf("%s-%s-%s.herokuapp.com", d.pick(zoneWords), d.pick(zoneWords), d.text(d.between(4, 6), digits))
	}},
	{"hosting", func(d *dice) string {
		return fmt.Sprintf("%s-%s-%s.vercel.app", d.pick(zoneWords), d.text(9, lowerDigits), d.pick(zoneWords))
	}},
	{"hosting", func(d *dice) string { return d.pick(zoneWords) + d.pick(zoneSuffixes) + ".github.io" }},
	{"hosting", func(d *dice) string { return d.pick(zoneWords) + d.text(d.between(0, 4), digits) + ".blogspot.com" }},
	{"reverse", func(d *dice) string { return dottedIP(d) + ".in-addr.arpa" }},
	{"reverse", func(d *dice) string {
		return strings.Join(strings.Split("0123456789"+d.text(22, hexDigits), "")[10:], ".") + ".8.b.d.0.1.0.0.2.ip6.arpa"
	}},
	{"dnsbl", func(d *dice) string {
		return dottedIP(d) + "." + d.pick(blockLists)
	}},
	// Reputation look-ups of anti-virus programs: the classic false alarm of tunnel detectors.
	{"reputation", func(d *dice) string { return d.text(26, base32Lower) + ".avqs.mcafee.com" }},
	{"reputation", func(d *dice) string {
		return fmt.Sprintf("%s.%s.p.%02d.s.sophosxl.net", d.text(40, hexDigits), d.text(8, hexDigits), d.between(1, 9))
	}},
	{"telemetry", func(d *dice) string { return uuid(d) + "." + d.pick(regions) + ".events.data.microsoft.com" }},
	{"hosting", func(d *dice) string {
		return d.pick(zoneWords) + d.pick(zoneSuffixes) + d.pick([]string{"", "-my"}) + ".sharepoint.com"
	}},
	{"cloud", func(d *dice) string {
		return fmt.Sprintf("ip-%s.%s.compute.internal", dashedIP(d), d.pick(regions))
	}},
	{"access", func(d *dice) string {
		return fmt.Sprintf("%s%d.%s.%s", d.pick(customers), d.between(1, 9), dashedIP(d), d.pick(providers))
	}},
	{"cluster", func(d *dice) string {
		pod := d.pick(roles) + "-" + d.text(10, base32Lower) + "-" + d.text(5, base32Lower)
		return pod + "." + d.pick(zoneWords) + ".svc.cluster.local"
	}},
	{"cdn", func(d *dice) string {
		return fmt.Sprintf("p%d-%s-%s.cdn-apple.com", d.between(1, 80), d.pick(zoneWords), d.pick(airports))
	}},
	{"telemetry", func(d *dice) string {
		return fmt.Sprintf("%d.%s.fls.doubleclick.net", d.between(1000000, 9999999), d.pick(zoneWords))
	}},
	{"telemetry", func(d *dice) string { return d.text(8, hexDigits) + ".nrb.footprintdns.com" }},
	{"hashed", func(d *dice) string { return d.text(d.between(10, 32), hexDigits) + "." + d.pick(providers) }},
}

var (
	selectors  = strings.Fields("default google selector1 selector2 k1 s1 mail dkim 20230601 sig1") // of DKIM
	akamaiMaps = strings.Fields("a b d g x dscb dscd dscg dscx dspb")
	blockLists = strings.Fields("zen.spamhaus.org bl.spamcop.net b.barracudacentral.org dnsbl.sorbs.net")
	customers  = strings.Fields("host dyn cpe pool ip static")
)

var providers = strings.Fields(`t-ipconnect.de comcast.net rr.com telia.net telefonica.net wanadoo.fr btcentralplus.com
	fastwebnet.it ziggo.nl bredband.net netcologne.de kpn.net ovh.net hetzner.de linode.com vultrusercontent.com
	akamaized.net fastly.net b-cdn.net edgekey.net trafficmanager.net azureedge.net llnwd.net`)

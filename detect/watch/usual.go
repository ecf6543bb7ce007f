package watch

import "strings"

// usual are domains of vendors of systems, browsers, media and content networks. Their software asks for thousands of
// names below them, with identifiers that look like data, and nobody else can have a name server for a part of them. So
// no tunnel ends there, and their names are no evidence of one.
var usual = func() map[string]bool {
	all := map[string]bool{}
	for _, domain := range strings.Fields(`
		a2z.com aaplimg.com adobe.com adobe.io akamai.net akamaihd.net amazon.com amazon-adsystem.com app-measurement.com
		apple.com apple-dns.net avast.com avcdn.net azure.com bing.com cdn-apple.com cloudflare.com cloudflarestorage.com
		criteo.com doubleclick.net dropbox.com edgesuite.net eset.com facebook.com fbcdn.net footprintdns.com
		google-analytics.com google.com googleapis.com googlesyndication.com googleusercontent.com googlevideo.com gstatic.com
		gvt1.com gvt2.com icloud.com instagram.com kaspersky.com kaspersky-labs.com live.com mcafee.com microsoft.com
		mozilla.com mozilla.net mozilla.org msedge.net msftconnecttest.com netflix.com nflxvideo.net norton.com
		nvidia.com office.com office.net office365.com outlook.com sc-cdn.net scorecardresearch.com sentry.io sharepoint.com
		skype.com snapchat.com spotify.com steampowered.com symantec.com symcd.com tiktokcdn.com tiktokv.com trendmicro.com
		twimg.com ubuntu.com whatsapp.net windows.com windowsupdate.com xboxlive.com yahoo.com youtube.com ytimg.com
		zoom.us`) {
		all[domain] = true
	}
	return all
}()

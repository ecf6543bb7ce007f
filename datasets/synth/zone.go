package synth

import "strings"

// zoneWords make the domains that stand for small sites: those that tunnel operators register, and, so
// that the words tell nothing, part of the ordinary ones.
var zoneWords = strings.Fields(`
	acorn alder alpine amber anchor apex aqua arbor arrow ash aspen atlas aurora autumn azure badger bamboo
	basalt bay beacon bear beech berry birch bird bison blue bolt boulder breeze brick bridge bright brook
	cabin canyon cape cascade castle cedar cherry cinder circle citrus cliff cloud clover coast cobalt comet
	compass copper coral cosmic cotton crane creek crest cricket crimson crow crystal cyan cypress dawn deer
	delta desert dingo dolphin dove dragon drift dune dusk eagle earth echo eclipse elk elm ember emerald
	falcon fern field finch fir fjord flame flint forest fox frost galaxy garden gecko glacier glade gold
	granite grape grove gull harbor hawk hazel heron hickory hill hollow honey horizon ice indigo iris iron
	island ivory ivy jade jasper juniper kelp kestrel kite lagoon lake larch lark laurel lava lemon light
	lily lime linden lion lotus lunar lynx magnet mango maple marble marsh meadow mesa meteor mint mist moon
	moss mountain nebula nectar nickel north nova oak oasis ocean olive onyx opal orbit orchid osprey otter
	owl palm panda paper pearl pebble pepper pine planet plum polar pond poplar prairie prism quail quartz
	quill rabbit rain raven reed reef ridge river robin rocket rose ruby saffron sage salmon sand sapphire
	sea shadow shell shore sierra signal silver sky slate snow solar south spark sparrow spring spruce star
	stone storm stream summer summit sun swan swift teal thistle thunder tide tiger timber topaz trail tulip
	tundra turtle valley velvet violet walnut water wave west whale wheat willow wind winter wolf wren zenith`)

var zoneSuffixes = strings.Fields(`
	app base box cloud code data design dev digital farm flow forge group hub lab labs link logic media net
	online point shop soft space studio systems tech trade ware web works world`)

// zoneTLDs repeats the common ones, so that they come up as often as they do in the world.
var zoneTLDs = strings.Fields(`
	com com com com com com com net net net org org org info biz io io co me eu de de fr nl it es pl cz ru
	ru su se ch at be us uk co.uk com.br com.au ca in tk ml cf ga gq xyz top site online club pw cc tv name
	dev app ddns.net duckdns.org hopto.org mooo.com`)

// smallSite is a registered domain of one or two words. Every such domain is either a tunnel's or an
// ordinary one, by its own letters, so that no domain carries two labels.
func smallSite(d *dice, tunnel bool) string {
	for {
		name := d.pick(zoneWords)
		switch d.below(6) {
		case 0, 1:
			name += d.pick(zoneWords)
		case 2:
			name += "-" + d.pick(zoneWords)
		case 3, 4:
			name += d.pick(zoneSuffixes)
		default:
			name += d.text(d.between(1, 3), digits)
		}
		name += "." + d.pick(zoneTLDs)
		sum := 0
		for _, c := range []byte(name) {
			sum += int(c)
		}
		if (sum%2 == 1) == tunnel {
			return name
		}
	}
}

var tunnelHosts = strings.Fields("t t1 t2 tun tunnel dns dns1 ns ns1 d v i io a x vpn www mail cdn api z")

// tunnelZone is where a tunnel's name server answers: a small site or a host of it, as short as
// operators keep it because its length costs payload.
func tunnelZone(d *dice) string {
	site := smallSite(d, true)
	if d.chance(65) {
		return d.pick(tunnelHosts) + "." + site
	}
	return site
}

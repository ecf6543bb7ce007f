package synth

import "time"

const umudga = "raw/umudga/UMUDGA - University of Murcia Domain Generation Algorithm Dataset/Fully Qualified Domain " +
	"Names/"

// published lists the example outputs that analysts published and the parameters that give them. Dates and
// seeds that the lists do not state were found by search; where several days give the same names the
// table holds one of them. No date means a family without a calendar.
var published = []struct {
	family string
	params Params
	file   string // below shared/data, or "" where only the head is at hand
	names  int    // in the file
	head   string // its first names, which are tested also where the file is not at hand
}{
	{"banjori", Params{}, "dga-examples/banjori/example_domains.txt", 1000,
		"earnestnessbiophysicalohax.com kwtoestnessbiophysicalohax.com rvcxestnessbiophysicalohax.com " +
			"hjbtestnessbiophysicalohax.com txmoestnessbiophysicalohax.com"},
	{"bazarbackdoor", Params{Date: day(2021, 12, 1), Variant: "beta"},
		"dga-examples/bazarbackdoor/example_domains_beta.txt", 2160,
		"acegikacggin.bazar acegilacggio.bazar acegimacggip.bazar acegjkacggjn.bazar acegjlacggjo.bazar"},
	{"bazarbackdoor", Params{Date: day(2021, 12, 1), Variant: "v5"},
		"dga-examples/bazarbackdoor/example_domains_v5.txt", 5776,
		"extiekyw.bazar extiekem.bazar extiekom.bazar extieked.bazar extiwyyw.bazar"},
	{"bazarbackdoor", Params{Date: day(2021, 12, 1), Variant: "v6"},
		"dga-examples/bazarbackdoor/example_domains_v6.txt", 5776,
		"avevreiz.bazar avevrepi.bazar avevrezo.bazar avevrevu.bazar avevoniz.bazar"},
	{"bazarbackdoor", Params{Date: day(2021, 12, 1), Variant: "v7"},
		"dga-examples/bazarbackdoor/example_domains_v7.txt", 5776,
		"ysogekiz.bazar ysogekpi.bazar ysogekoq.bazar ysogekvu.bazar ysogifiz.bazar"},
	{"bumblebee", Params{Seed: 0x4545535f54534554}, "dga-examples/bumblebee/example_domains.txt", 100,
		"cmid1s1zeiu.life itszko2ot5u.life 3v1n35i5kwx.life newdnq1xnl9.life jkyj6awt1ao.life"},
	{"chinad", Params{Date: day(2017, 1, 13)}, "dga-examples/chinad/example_domains.txt", 256,
		"8f6bacmw30xxv6sc.cn 486txu3yjly0xcmz.ru xmi6x8zg9rkanmyo.info spy1jhdbmvt2ueva.net evybt5gtf2tprvbi.info"},
	{"corebot", Params{Seed: 0x1db98930, Date: day(2015, 9, 1)}, "dga-examples/corebot/example_domains.txt", 40,
		"lkhylm0mhyfuhg.ddns.net s63234wluv5v365bwp5.ddns.net afe6mfy23xcxgfa.ddns.net 7rsl1f34sfq0oj3jwvmfa6c.ddns.net " +
			"ir7l3po0gjy8ypqjm8o.ddns.net"},
	{"darkcracks", Params{Date: day(2024, 4, 3)}, "dga-examples/darkcracks/example_domains.txt", 100,
		"sTDFUgOAgjL.com EVDFUgOAgjL.com AVDFUgOAgjL.com MVDFUgOAgjL.com IVDFUgOAgjL.com"},
	{"dircrypt", Params{Seed: 0xf2113c2a}, "dga-examples/dircrypt/example_domains.txt", 30,
		"rauggyguyp.com llullzza.com mluztamhnngwgh.com mycojenxktsmozzthdv.com inbxvqkegoyapgv.com"},
	{"dmsniff", Params{Variant: "al"}, "dga-examples/dmsniff/domains_al.txt", 50,
		"albdfhln.com alcgkown.com aldjpvqt.com alemuown.com alfpmrnq.org"},
	{"dmsniff", Params{Variant: "sn"}, "dga-examples/dmsniff/domains_sn.txt", 50,
		"snbhdfln.com sncogkwn.com sndvjpqt.com sneomuwn.com snfrpmnq.org"},
	{"dnschanger", Params{Seed: 0x1554d}, "dga-examples/dnschanger/example_domains.txt", 5,
		"aktklyvbiu.com zgimjzlnrl.com tcfejerekw.com tfaunnjmxt.com ydvlfpkguw.com"},
	{"fobber", Params{Seed: 0xc87c8a78, Variant: "v1"}, "dga-examples/fobber/domains_1.txt", 300,
		"vhkintjtksyxgjrzz.net btpnxlsfdqbhzazyx.net ukfmknjdenthvktgc.net qupxsrhrmuoinqrit.net gjsbydmrpfzsmnfiu.net"},
	{"fobber", Params{Seed: 0x851a3e59, Variant: "v2"}, "dga-examples/fobber/domains_2.txt", 300,
		"drohppbkxj.com gbjtyyhrhk.com suogzzicvq.com satcqmazby.com sdcbiszvch.com"},
	{"fosniw", Params{Variant: "koreasys"}, "dga-examples/fosniw/domains_koreasys.txt", 101,
		"appx.koreasys0.com appx.koreasys1.com appx.koreasys2.com appx.koreasys3.com appx.koreasys4.com"},
	{"fosniw", Params{Variant: "winsoft"}, "dga-examples/fosniw/domains_winsoft.txt", 101,
		"app2.winsoft0.com app2.winsoft1.com app2.winsoft2.com app2.winsoft3.com app2.winsoft4.com"},
	{"kraken", Params{Variant: "v1"}, "dga-examples/kraken/v1/example_domains.txt", 2000,
		"ibbwnhgh.mooo.com rbqdxflojkj.mooo.com smhburg.dyndns.org bltjhzqp.dyndns.org clwafrfuuxq.yi.org"},
	{"kraken", Params{Date: day(2015, 12, 22), Variant: "v2"}, "dga-examples/kraken/v2/example_domains.txt", 2000,
		"xpdbwuimwag.com nwpegpjtx.com smmyuhxlt.net xjvyvnzivvt.net lvctmusxcyz.tv"},
	{"locky", Params{Seed: 62, Date: day(2016, 2, 28)}, "dga-examples/locky/example_domains.txt", 8,
		"gegjiimqmlgtdmk.tf pccibcjncnhjn.yt rddipikmrap.us mmhmkqfc.be vkcims.pm"},
	{"m0yv", Params{Seed: 0x02484a18}, "dga-examples/m0yv/example_domains.txt", 128,
		"pywolwnvd.biz ssbzmoy.biz cvgrf.biz npukfztj.biz przvgke.biz"},
	{"monerodownloader", Params{Date: day(2020, 1, 12)}, "dga-examples/monerodownloader/example_domains.txt", 2500,
		"31b4bd31fg1x2.org 31b4bd31fg1x2.tickets 31b4bd31fg1x2.blackfriday 31b4bd31fg1x2.hosting 31b4bd31fg1x2.feedback"},
	{"murofet", Params{Date: day(2015, 9, 1), Variant: "v1"}, "dga-examples/murofet/v1/example_domains.txt", 1000,
		"giywswshrgxcvoqgvrkthmfa.ru xaiqpbprgymbvrwmzgiyprgdsk.com amgqgularpzxeapztxenbx.net " +
			"pfscijbmthyfiyjgergugtkbqyh.org xglfcmsgorvwfilhmzlcxxvkfege.info"},
	{"murofet", Params{Date: day(2015, 9, 3), Variant: "v2"}, "dga-examples/murofet/v2/example_domains.txt", 1020,
		"cmqvvxtppnibli.biz cmqvvxtppnibli.com rloqpoiongsuwyq.net rloqpoiongsuwyq.org zsophzovtfor.info"},
	{"mydoom", Params{Seed: 0xfa8, Date: day(2008, 4, 29)}, "dga-examples/mydoom/example_domains.txt", 99,
		"qehspqnmrn.info mmahaesqar.in pwprhhnqqn.in mrspmramrn.in arphansaqh.com"},
	{"necurs", Params{Seed: 9, Date: day(2015, 8, 28)}, "dga-examples/necurs/example_domains.txt", 2048,
		"nccojqvabqvkiwhj.mx hoedwwwywnmmbi.ac aeaeneaoinf.mu ccecggc.us mfffpmgtplxbyagbtegh.com"},
	{"newgoz", Params{Date: day(2015, 8, 31)}, "dga-examples/newgoz/example_domains.txt", 1000,
		"xzz3ug32bale1uo60y7xj6rge.com 1hyzmw3l2phycet88hzr2do34.net 2ppq821cfem5m1mdua46pxg7bj.biz " +
			"unlm9w9l8upy1kdde0kba7ktf.org 1ixhw3p1ncr3cf1pjfrpz14n1u0e.com"},
	{"ngioweb", Params{Seed: 0x56edc15}, "dga-examples/ngioweb/example_domains.txt", 1024,
		"minihileth-subatudofy.org revodihudom.info enisobure-antidimadom-minikevuship.org semiridinution-postepudency.com " +
			"prolefexity-disorisance.org"},
	{"nymaim", Params{Date: day(2018, 2, 24)}, "dga-examples/nymaim/example_domains.txt", 128,
		"oftbpec.com lotmpwyk.info seikpwq.info bcfatyltdvp.info rfwstgy.com"},
	{"orchard", Params{Date: day(2022, 9, 29)}, "dga-examples/orchard/example_domains.txt", 32,
		"867e6101.com 867e6101.net 867e6101.org 867e6101.duckdns.org abf88222.com"},
	{"padcrypt", Params{Date: day(2016, 3, 6)}, "dga-examples/padcrypt/example_domains.txt", 24,
		"elkfcfnacacmofdf.com mkmeeefncfnfdmbm.de ffcdcnbmmnaeddcd.com ddkfodnaadmbmofo.co.uk efneboaodnmbecoa.co"},
	{"pitou", Params{Seed: 0xdafe02c, Date: day(2019, 4, 10)}, "dga-examples/pitou/example_domains.txt", 280,
		"koohoavab.net koohoavac.net koohoavad.net koohoavaf.net koohoavag.net"},
	{"proslikefan", Params{Date: day(2016, 6, 17), Variant: "prospect"},
		"dga-examples/proslikefan/example_domains.txt", 100,
		"flarvcpk.eu stjneohiod.biz vcevvkc.se qylptiin.info bsvisbttr.com"},
	{"proslikefan", Params{Date: day(2015, 11, 26), Variant: "javascript"},
		"dga-examples/unnamed_javascript_dga/example_domains.txt", 30,
		"rxxeqcoy.cc kmymbyzd.co cfukbzbmg.eu sblwtafc.cc lqdoacat.co"},
	{"pushdo", Params{Date: day(2019, 12, 6)}, "dga-examples/pushdo/example_domains.txt", 1350,
		"weafokuggeir.kz sictemuborug.kz cirpicficj.kz geijanmap.kz fuxhuxsabi.kz"},
	{"pykspa", Params{Seed: 0xb8b2c9e1, Variant: "improved"}, "dga-examples/pykspa/improved/example_domains.txt", 10,
		"uammskmq.org jqplflktas.info rybwtr.net uyznvxlof.info gakcmqiw.com"},
	{"pykspa", Params{Date: day(2015, 8, 31), Variant: "precursor"},
		"dga-examples/pykspa/precursor/example_domains.txt", 5000,
		"llfwhgn.com guqqkaiq.biz wctymo.net lovfjsfox.com oruhbanansnan.cc"},
	{"qadars", Params{Seed: 0x89f5, Date: day(2016, 3, 28)}, "dga-examples/qadars/example_domains.txt", 200,
		"jk9enwhansl2.org sdqfodmf81m7.net 5uro1uzspejk.net ub4hinsduf0p.net zs9ijo1er81u.com"},
	{"qakbot", Params{Date: day(2016, 2, 21)}, "dga-examples/qakbot/example_domains.txt", 5000,
		"bqkrtxgkmriwsiwcngtivpx.info jdtmfupdyueqeldvhsjzdvzob.net guhmpoxzivhba.com nqqxqhuacaqhzurde.org " +
			"lgqsqgpqzijwid.info"},
	{"qsnatch", Params{Date: day(2019, 11, 11).Add(23 * time.Hour), Variant: "a"},
		"dga-examples/qsnatch/example_domains_a.txt", 2610,
		"t2q2r.cf gc9nz.tk 07tvvc.com 7ubqo.ml 53bcm.de"},
	{"qsnatch", Params{Date: day(2019, 11, 11), Variant: "b"}, "dga-examples/qsnatch/example_domains_b.txt", 150,
		"t2q2rs.cf t2q2rsa.cf t2q2rsaz.cf t2q2rsazo.cf t2q2rsazo1.cf"},
	{"ramnit", Params{Seed: 0x79159c10}, "dga-examples/ramnit/example_domains.txt", 100,
		"knpqxlxcwtlvgrdyhd.com nvlyffua.com hgyudheedieibxy.com anrylixwcbnjopdd.com vrndmdrdrjoff.com"},
	{"ranbyus", Params{Seed: 0xb6354bc3, Date: day(2015, 5, 14), Variant: "may"},
		"dga-examples/ranbyus/may/example_domains.txt", 40,
		"ikwoqkwuajpbyx.com niukpdrluwlfox.pw rcnxisuibbadng.in wbqtidjvsdiwee.me jrdyumcieyipnv.cc"},
	{"ranbyus", Params{Seed: 0x0f0d5bfa, Date: day(2015, 9, 25), Variant: "september"},
		"dga-examples/ranbyus/september/example_domains.txt", 40,
		"jxbdxeyxttdmcjagi.me iqmadgybfhnrssadm.cc gdoldaognceaedkke.su jnbnyrmxmpblfgstk.tw ucjetnyaitygjidva.net"},
	{"reconyc", Params{Seed: 0x6a2e9}, "dga-examples/reconyc/example_domains.txt", 100,
		"E5zHail0Mw.com gabbvK2o6s.com CumpP2A4d7.com 5eswmwNQyF.com lExfSzyuwP.com"},
	{"sharkbot", Params{Date: day(2022, 5, 30), Variant: "0.0"}, "dga-examples/sharkbot/example_domains_v0.0.txt", 7,
		"mjjwb2pcstlmsedgzgz.xyz mjjwb2pcstlmsedgzgz.live mjjwb2pcstlmsedgzgz.com mjjwb2pcstlmsedgzgz.store " +
			"mjjwb2pcstlmsedgzgz.info"},
	{"sharkbot", Params{Date: day(2022, 5, 30), Variant: "1.63"}, "dga-examples/sharkbot/example_domains_v1.63.txt", 7,
		"mjiymdiycg9qqkk5teh.xyz mjiymdiycg9qqkk5teh.live mjiymdiycg9qqkk5teh.com mjiymdiycg9qqkk5teh.store " +
			"mjiymdiycg9qqkk5teh.info"},
	{"sharkbot", Params{Date: day(2022, 5, 30), Variant: "2.1"}, "dga-examples/sharkbot/example_domains_v2.1.txt", 7,
		"2fae36c0d5c7cab3.xyz a66629478acb84c7.live 76e5e849348c0b21.com f2b24dea13ab03c1.store 593875ed50cf2c0f.info"},
	{"sharkbot", Params{Date: day(2022, 5, 30), Variant: "2.8"}, "dga-examples/sharkbot/example_domains_v2.8.txt", 7,
		"817c0cee3bf6d5d4.xyz 4ffa2b4f790e934b.live 1e7e95ac9287a3ec.com db395e7890d7f878.store 17b64347f7db9dc2.info"},
	{"shiotob", Params{}, "dga-examples/shiotob/example_domains.txt", 2001,
		"wtipubctwiekhir.net rwmu35avqo12tqc.com rskb5bsfhm2fk5h.net rbp9pprrxgflut9.com zzxeyzgy45yy2a.net"},
	{"simda", Params{Seed: 0x45ae94b2}, "dga-examples/simda/example_domains.txt", 1000,
		"gatyfus.com lyvyxor.com vojyqem.com qetyfuv.com puvyxil.com"},
	{"sisron", Params{Date: day(2016, 6, 2)}, "dga-examples/sisron/example_domains.txt", 40,
		"mdiwnjiwmtya.com mdewnjiwmtya.com mzewntiwmtya.com mzawntiwmtya.com mjkwntiwmtya.com"},
	{"symmi", Params{Seed: 42, Date: day(2015, 8, 16)}, "dga-examples/symmi/example_domains.txt", 64,
		"ogovugtuipawi.ddns.net afowkaupbabe.ddns.net ipkureleakm.ddns.net hegiruqo.ddns.net luimreim.ddns.net"},
	{"tempedreve", Params{Date: day(2020, 1, 1)}, "dga-examples/tempedreve/example_domains.txt", 1746,
		"dlbebsga.net enqbgrmt.com xjlwpfnk.info ebabkjcx.org hvisietg.net"},
	{"tinba", Params{}, "dga-examples/tinba/example_domains.txt", 401,
		"blackfreeqazyio.cc nvfowikhevmy.com nvfowikhevmy.net nvfowikhevmy.in nvfowikhevmy.ru"},
	{"tufik", Params{Seed: 0x997722ed, Date: day(2022, 5, 9)}, "dga-examples/tufik/example_domains.txt", 1020,
		"iztwlupysutnqqn.biz iztwlupysutnqqn.com lxtzzrlnlgohmsh.net lxtzzrlnlgohmsh.org fwgcsvubskqtidmk.info"},
	{"vawtrak", Params{Seed: 0x5884c3c4}, "dga-examples/vawtrak/example_domains2.txt", 100,
		"usahwutle.com folocnam.com awumsah.com edorwufli.com misocgutlah.com"},
	{"verblecon", Params{Date: day(2022, 7, 14)}, "dga-examples/verblecon/example_domains.txt", 1,
		"fd0ee78d1dbf4957b04cc6eb65feb97d.tk"},
	// From UMUDGA, whose authors ran the algorithm for a day far ahead.
	{"cryptolocker", Params{Date: day(2590, 4, 17)}, umudga + "cryptolocker/list/1000.txt", 1000,
		"pidfksipycmyg.com qxxsoxcwrcplo.net jikexotpwevyx.biz wmfgrwgumcelx.ru keibffyvryomh.org"},
	{"cryptolocker", Params{Date: day(2014, 10, 7)}, "", 7,
		"ofdhiydrrttpblp.com puciftnfkplcbhp.net bowjjxxnhkyvygk.biz osvwkptpwqyiqen.ru cpmjpnwdgbxyyql.org " +
			"ptlwqfsfvhxlaxw.co.uk wwcdhdhijsfsuyr.info"},
	{"ramdo", Params{Seed: 0xdeadbeef}, "raw/dga-lists/ramdo.txt.gz", 100000,
		"cikiugcaqcegsimg.org gqsasakyqmywuigy.org kuiacymwmsowiasw.org skimmesmkyccouea.org cieyaaccueseescm.org"},
	// UMUDGA's list leaves out every December.
	{"ccleaner", Params{Date: day(2000, 1, 1)}, "", 11,
		"ab1fe3cfc138a.com ab179eac64138d.com abd941a851390.com ab92c5d311394.com abb0a3d081397.com " +
			"ab2f5928fc139a.com ab48606b0139d.com ab1eba52e713a1.com ab1b4dc2ec13a4.com ab9e6df813a7.com ab129d483813ab.com"},
	// From 360 Netlab's repository.
	{"vidro", Params{Date: day(2016, 12, 22)}, "", 12,
		"khmfxcglt.dyndns.org dcszjfw.com whidvymdeprg.net ycoxhrbzkc.dyndns.org rhtrttbu.com jczlpmrgvtf.net " +
			"ciffbfhcahp.dyndns.org fdlznixy.com xiqtzamumytt.net qdwnldmprm.dyndns.org iichhwclx.com ldibtps.net"},
	// No list, but the ten names that the collection's front page shows.
	{"murofet", Params{Date: day(2015, 8, 31), Variant: "v3"}, "", 10,
		"nxlya47huo61czerb18o51e11d30i55gycwe31lx.ru jwdzptm69p62izcve41f22k37oyj16g63fqote11.com " +
			"p42p52nvd50izkqazaqe21lvo21pycqotp22e61.net b28n40i25b68gte41o61dwc19htc29jwgxiqfzbr.org " +
			"ktirhsn50kzc49b58cyf32fwh14h64dzgxiqcz.info bre41hvc29kri15ewpwdsazjyn40p52kwe21gw.biz " +
			"n30mwhsoxfqe51j56lunsg13o11hyd60ewf52nu.ru hvcsjxd20mzm29d40nznunta27c29kyi55fun50.com " +
			"nzosg13oymzg63ntpxaro51btkvfyoshrk27.info czfsn20exg53nzcqcrg43exf62b28p22pyd50lu.org"},
	{"zloader", Params{Date: day(2020, 4, 24)}, "", 10,
		"gdurfdsywubjaaqcqhrh.com vudktykcecigekhtwwqn.com jcaofaekffeojktmpdax.com iiphrhkculpnubvvxnbh.com " +
			"bjdbpgbjdyredhfyvpie.com wramitvqeojecedajxoj.com ohyjybhogoeoabjqvpie.com fscqtelyeogmxudotlao.com " +
			"nsdtxvnwtxjwphbuqffe.com bohchavtvhbejwcmekvo.com"},
}

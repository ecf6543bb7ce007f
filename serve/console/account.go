package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
)

// accountScreens are those of somebody's own account, and of everybody's for an admin.
func (c *Console) accountScreens() []screen {
	return []screen{
		{"GET /console/account", accounts.Viewer, false, c.account},
		{"POST /console/account/password", accounts.Viewer, false, c.setPassword},
		{"POST /console/account/revoke", accounts.Viewer, false, c.endSession},
		{"POST /console/account/invite", accounts.Admin, false, c.invite},
		{"POST /console/account/role", accounts.Admin, false, c.setRole},
		{"POST /console/account/remove", accounts.Admin, false, c.remove},
	}
}

// accountPage is somebody's own account; an admin sees everybody's.
type accountPage struct {
	Person   accounts.Person
	Mine     []sessionRow
	Password string // what is wrong with the password form
	Done     string // what was just done

	// For an admin:
	Admin    bool
	People   []accounts.Person
	Roles    []accounts.Role
	Others   []sessionRow // the sessions of other people, those used last
	Hidden   int          // further ones
	Invited  *newLink     // the link that was just made
	Name     string       // of the form to invite
	Role     accounts.Role
	Invite   string // what is wrong with it
	Removing string // whose account is to be removed, if that is confirmed
}

// sessionRow is a session in a table.
type sessionRow struct {
	accounts.Session
	Current bool // it asks for this page
}

// newLink is a link with which somebody sets a password. It is shown once.
type newLink struct {
	Name, Link string
	New        bool // the person is a new one
}

// mostSessions bounds the sessions of others on the page.
const mostSessions = 200

// doneTexts are what the page says after a change, by the query's done.
var doneTexts = map[string]string{
	"password": "The password is changed. All your other sessions have ended",
	"session":  "The session has ended",
	"role":     "The role is changed, also in sessions that are open",
	"removed":  "The account is removed, and its sessions have ended",
}

// account answers GET /console/account. remove is somebody whose account may be removed: the page asks whether it
// shall be.
func (c *Console) account(v *visit) (*view, error) {
	p := accountPage{Done: doneTexts[v.q.Get("done")], Role: accounts.Viewer}
	if name := v.q.Get("remove"); v.may(accounts.Admin) {
		p.Removing = name
	}
	return c.accountView(v, p, 0)
}

// accountView fills in what the page has besides what is in p already.
func (c *Console) accountView(v *visit, p accountPage, status int) (*view, error) {
	p.Person = v.session.Person
	sessions, err := c.o.Accounts.Sessions(v.ctx())
	if err != nil {
		return nil, err
	}
	p.Admin = v.may(accounts.Admin)
	for _, s := range sessions {
		row := sessionRow{s, s.ID == v.session.ID}
		switch {
		case s.Person.Name == v.by():
			p.Mine = append(p.Mine, row)
		case !p.Admin:
		case len(p.Others) < mostSessions:
			p.Others = append(p.Others, row)
		default:
			p.Hidden++
		}
	}
	if p.Admin {
		p.Roles = []accounts.Role{accounts.Viewer, accounts.Vetter, accounts.Admin}
		if p.People, err = c.o.Accounts.People(v.ctx()); err != nil {
			return nil, err
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(p.People, func(x accounts.Person) bool { return x.Name == name })
	}
	if p.Removing != "" && !has(p.Removing) {
		return nil, notFound("There is no such account")
	}
	return &view{page: "account", title: "Account", status: status, data: p}, nil
}

// setPassword answers POST /console/account/password: old, password and again.
func (c *Console) setPassword(v *visit) (*view, error) {
	wrong := func(text string, status int) (*view, error) {
		return c.accountView(v, accountPage{Password: text}, status)
	}
	password := v.q.Get("password")
	if password != v.q.Get("again") {
		return wrong("The two new passwords differ", http.StatusBadRequest)
	}
	err := c.o.Accounts.SetPassword(v.ctx(), v.by(), v.q.Get("old"), password, v.from, v.session.ID)
	var tooMany *accounts.TooMany
	switch {
	case errors.As(err, &tooMany):
		v.w.Header().Set("Retry-After", seconds(tooMany.Retry))
		return wrong("There were too many wrong tries. Try again in "+seconds(tooMany.Retry)+" seconds",
			http.StatusTooManyRequests)
	case errors.Is(err, accounts.ErrWrong):
		return wrong("The old password is wrong", http.StatusForbidden)
	case errors.Is(err, accounts.ErrInput):
		return wrong(err.Error(), http.StatusBadRequest)
	case err != nil:
		return nil, err
	}
	return &view{to: "/console/account?done=password"}, nil
}

// endSession answers POST /console/account/revoke: id of a session, of somebody else for an admin.
func (c *Console) endSession(v *visit) (*view, error) {
	all, err := c.o.Accounts.Sessions(v.ctx())
	if err != nil {
		return nil, err
	}
	id := v.q.Get("id")
	i := slices.IndexFunc(all, func(s accounts.Session) bool { return s.ID == id })
	if i < 0 || all[i].Person.Name != v.by() && !v.may(accounts.Admin) { // one that may not know of it is told the same
		return nil, notFound("There is no such session. It may have ended")
	}
	if err := c.o.Accounts.Revoke(v.ctx(), v.by(), id); err != nil && !errors.Is(err, accounts.ErrSession) {
		return nil, err
	}
	if id == v.session.ID {
		c.setCookie(v, "")
		return &view{to: "/console/login"}, nil
	}
	return &view{to: "/console/account?done=session"}, nil
}

// invite answers POST /console/account/invite: name and role. The page with the link is the answer: the link is in no
// address, and nowhere after that.
func (c *Console) invite(v *visit) (*view, error) {
	p := accountPage{Name: v.q.Get("name"), Role: accounts.Role(v.q.Get("role"))}
	people, err := c.o.Accounts.People(v.ctx())
	if err != nil {
		return nil, err
	}
	token, err := c.o.Accounts.Invite(v.ctx(), v.by(), p.Name, p.Role)
	switch {
	case errors.Is(err, accounts.ErrInput), errors.Is(err, accounts.ErrLastAdmin):
		p.Invite = err.Error()
		return c.accountView(v, p, http.StatusBadRequest)
	case err != nil:
		return nil, err
	}
	known := slices.ContainsFunc(people, func(x accounts.Person) bool { return x.Name == p.Name && !x.Invited })
	p.Invited = &newLink{Name: p.Name, Link: c.origin(v.r) + link("/console/welcome", "token", token), New: !known}
	p.Name, p.Role = "", accounts.Viewer
	return c.accountView(v, p, 0)
}

// origin is the beginning of this server's addresses, as the browser of a request knows it. A proxy may have TLS before
// this server: then the browser tells.
func (c *Console) origin(r *http.Request) string {
	if from, err := url.Parse(r.Header.Get("Origin")); err == nil && from.Host == r.Host && from.Host != "" {
		return from.Scheme + "://" + from.Host
	}
	if c.o.TLS {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// setRole answers POST /console/account/role: name and role.
func (c *Console) setRole(v *visit) (*view, error) {
	if err := c.o.Accounts.SetRole(v.ctx(), v.by(), v.q.Get("name"), accounts.Role(v.q.Get("role"))); err != nil {
		return nil, lastAdmin(err)
	}
	return &view{to: "/console/account?done=role"}, nil
}

// remove answers POST /console/account/remove: name.
func (c *Console) remove(v *visit) (*view, error) {
	if err := c.o.Accounts.Remove(v.ctx(), v.by(), v.q.Get("name")); err != nil {
		return nil, lastAdmin(err)
	}
	return &view{to: "/console/account?done=removed"}, nil
}

// lastAdmin says in full why the last admin stays.
func lastAdmin(err error) error {
	if errors.Is(err, accounts.ErrLastAdmin) {
		return &reply.Failure{Status: http.StatusConflict,
			Text: "Somebody has to stay an admin. Try: make somebody else an admin first, and wait until that person " +
				"has a password"}
	}
	return err
}

package console

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
)

// loginScreens are those for people who are not logged in yet, and for their accounts.
func (c *Console) loginScreens() []screen {
	return []screen{
		{"GET /console/login", "", false, c.loginForm},
		{"POST /console/login", "", false, c.login},
		{"POST /console/logout", accounts.Viewer, false, c.logout},
		{"GET /console/welcome", "", false, c.welcomeForm},
		{"POST /console/welcome", "", false, c.welcome},
	}
}

// cookieName is the session's. The prefix __Host- keeps others of the same domain from setting it; it needs TLS.
func (c *Console) cookieName() string {
	if c.o.TLS {
		return "__Host-degas"
	}
	return "degas"
}

// setCookie gives the browser a session, "" takes it away.
func (c *Console) setCookie(v *visit, value string) {
	k := &http.Cookie{Name: c.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: c.o.TLS,
		SameSite: http.SameSiteStrictMode}
	if value == "" {
		k.MaxAge = -1
	}
	http.SetCookie(v.w, k)
}

// logIn finds the session of a request.
func (c *Console) logIn(v *visit) error {
	k, err := v.r.Cookie(c.cookieName())
	if err != nil {
		return accounts.ErrSession
	}
	v.cookie = k.Value
	v.session, err = c.o.Accounts.Check(v.ctx(), k.Value)
	return err
}

// toLogin sends somebody without a session to the log-in page, and back from there.
func (c *Console) toLogin(v *visit, err error) (*view, error) {
	if !errors.Is(err, accounts.ErrExpired) && !errors.Is(err, accounts.ErrSession) {
		return nil, err
	}
	next := ""
	if v.r.Method == http.MethodGet && !v.partial() {
		next = v.r.URL.RequestURI()
	}
	if strings.HasSuffix(v.r.URL.Path, "/stream") {
		return nil, &reply.Failure{Status: http.StatusUnauthorized, Text: "The session is over: log in again"}
	}
	return &view{to: link("/console/login", "next", next)}, nil
}

// loginPage is what the log-in and the welcome page show.
type loginPage struct {
	Next, Name, Token string
	Role              accounts.Role
	Choose            bool // a name is to be chosen
	Error             string
}

func (c *Console) loginForm(v *visit) (*view, error) {
	if v.session.Person.Name != "" {
		return &view{to: localPath(v.q.Get("next"))}, nil
	}
	return &view{page: "login", title: "Log in", data: loginPage{Next: v.q.Get("next")}}, nil
}

func (c *Console) login(v *visit) (*view, error) {
	p := loginPage{Next: v.q.Get("next"), Name: v.q.Get("name")}
	cookie, _, err := c.o.Accounts.LogIn(v.ctx(), p.Name, v.q.Get("password"), v.from, v.r.UserAgent())
	if err != nil {
		return loginFailed(v, "login", "Log in", p, err, "The name or the password is wrong")
	}
	c.setCookie(v, cookie)
	return &view{to: localPath(p.Next)}, nil
}

// loginFailed shows the form again, or what else went wrong.
func loginFailed(v *visit, page, title string, p loginPage, err error, wrong string) (*view, error) {
	out := &view{page: page, title: title, status: http.StatusForbidden}
	var tooMany *accounts.TooMany
	switch {
	case errors.As(err, &tooMany):
		out.status = http.StatusTooManyRequests
		v.w.Header().Set("Retry-After", seconds(tooMany.Retry))
		p.Error = "There were too many wrong tries. Try again in " + seconds(tooMany.Retry) + " seconds"
	case errors.Is(err, accounts.ErrInput):
		out.status, p.Error = http.StatusBadRequest, err.Error()
	case errors.Is(err, accounts.ErrWrong), errors.Is(err, accounts.ErrExpired), errors.Is(err, accounts.ErrLink):
		p.Error = wrong
	default:
		return nil, err
	}
	out.data = p
	return out, nil
}

// localPath is a path of the console to go to, and never another server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path.Clean(u.Path)+"/", "/console/") ||
		strings.Contains(next, `\`) {
		return "/console/"
	}
	return u.RequestURI()
}

func (c *Console) logout(v *visit) (*view, error) {
	if err := c.o.Accounts.LogOut(v.ctx(), v.cookie); err != nil && !errors.Is(err, accounts.ErrSession) {
		return nil, err
	}
	c.setCookie(v, "")
	return &view{to: "/console/login"}, nil
}

const badLink = "The link was used already, or is too old. Try: ask an admin for another one, or start the server " +
	"with --console-link NAME"

func (c *Console) welcomeForm(v *visit) (*view, error) {
	p := loginPage{Token: v.q.Get("token")}
	inv, err := c.o.Accounts.Invitation(v.ctx(), p.Token, v.from)
	if err != nil {
		return loginFailed(v, "welcome", "Welcome", p, err, badLink)
	}
	p.Name, p.Role, p.Choose = inv.Name, inv.Role, inv.Name == ""
	return &view{page: "welcome", title: "Welcome", data: p}, nil
}

func (c *Console) welcome(v *visit) (*view, error) {
	p := loginPage{Token: v.q.Get("token"), Name: v.q.Get("name"), Choose: v.q.Has("name")}
	password := v.q.Get("password")
	err := error(nil)
	if password != v.q.Get("again") {
		p.Error = "The two passwords differ"
		return &view{page: "welcome", title: "Welcome", status: http.StatusBadRequest, data: p}, nil
	}
	who, err := c.o.Accounts.Accept(v.ctx(), p.Token, p.Name, password, v.from)
	if err != nil {
		return loginFailed(v, "welcome", "Welcome", p, err, badLink)
	}
	cookie, _, err := c.o.Accounts.LogIn(v.ctx(), who.Name, password, v.from, v.r.UserAgent())
	if err != nil {
		return nil, err
	}
	c.setCookie(v, cookie)
	return &view{to: "/console/"}, nil
}

package bucket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

var (
	errNoCredentials = errors.New("no usable credentials")
	errNoBucket      = errors.New("there is no such bucket. Try: another name, or the bucket's endpoint")
)

// remedies are what to do about the codes of S3, and about HTTP statuses.
var remedies = []struct{ codes, try string }{
	{"InvalidAccessKeyId SignatureDoesNotMatch InvalidToken ExpiredToken TokenRefreshRequired 401",
		"other credentials; an access key, its secret and a session token belong together"},
	{"AccessDenied Forbidden AllAccessDisabled 403",
		"credentials that may do this; without the right to list, a file that is not there looks the same"},
	{"PermanentRedirect MovedPermanently AuthorizationHeaderMalformed IllegalLocationConstraintException BadRequest",
		"the bucket's own region: AWS_REGION, or ?region=… in the URL"},
	{"RequestTimeTooSkewed", "the right time on this machine"},
	{"NotImplemented XAmzContentSHA256Mismatch",
		"AWS_REQUEST_CHECKSUM_CALCULATION=when_required, which older servers need"},
	{"SlowDown ServiceUnavailable InternalError InternalServerError 408 429 500 502 503 504", "again later"},
}

// remedied is an answer of a storage, with what to do about it.
func remedied(code, text string) error {
	text = strings.TrimSuffix(strings.TrimSuffix(code+": "+oneLine(text), ": "), ".")
	for _, r := range remedies {
		if strings.Contains(" "+r.codes+" ", " "+code+" ") {
			return fmt.Errorf("%s. Try: %s", text, r.try)
		}
	}
	return errors.New(text)
}

// unreachable is an error without an answer. It does not repeat the request's URL, which may be a credential.
func unreachable(err error) error {
	var connection *net.OpError
	if errors.As(err, &connection) {
		return fmt.Errorf("no connection: %w. Try: the network, HTTPS_PROXY, or the endpoint", connection)
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return errors.New(oneLine(err.Error()))
}

// noCredentials says that there are none, unless ctx ended meanwhile.
func noCredentials(ctx context.Context, err error, try string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s. Try: %s", errNoCredentials, oneLine(err.Error()), try)
}

// oneLine is the first line of a text, or its beginning.
func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return fmt.Sprintf("%.300s", line)
}

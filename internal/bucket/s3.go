package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob/s3blob"
)

// How long a server may take until it is connected, be silent, and take until there are credentials: the providers'
// libraries wait for minutes, and for the end of a silence forever. Where a machine has no role, its metadata server
// takes a second or two to say so.
const (
	connectTimeout    = 10 * time.Second
	quietTimeout      = time.Minute
	credentialTimeout = 10 * time.Second
)

func openS3(ctx context.Context, p place) (store, error) {
	dial := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { impatient(t, quietTimeout) })
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(dial),
		config.WithLogger(logging.Nop{}), // it would write to stderr what is no error
	}
	if profile := p.options.Get("profile"); profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if region := p.options.Get("region"); region != "" {
		options = append(options, config.WithRegion(region))
	}
	if p.is("anonymous") {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("read AWS' configuration: %w", err)
	}
	if !p.is("anonymous") {
		within, cancel := context.WithTimeout(ctx, credentialTimeout)
		defer cancel()
		if _, err := c.Credentials.Retrieve(within); err != nil {
			return nil, noCredentials(ctx, err, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "+
				"anonymous=true in the URL of a public bucket")
		}
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		if server := p.options.Get("endpoint"); server != "" {
			o.BaseEndpoint = &server
		}
		if o.BaseEndpoint != nil && o.Region == "" {
			o.Region = "us-east-1" // such servers mostly have no regions, but a signature needs one
		}
		// A server that is not Amazon's rarely has a host name for each bucket.
		o.UsePathStyle = o.BaseEndpoint != nil
		if p.options.Has("use_path_style") {
			o.UsePathStyle = p.is("use_path_style")
		}
	})
	if client.Options().Region == "" {
		return nil, errors.New("no region is known. Try: AWS_REGION, or ?region=… in the URL")
	}
	b, err := s3blob.OpenBucket(ctx, client, p.bucket, &s3blob.Options{
		RequestChecksumCalculation: c.RequestChecksumCalculation, // of the environment, for older servers
	})
	if err != nil {
		return nil, err
	}
	return newRemote(b, p), nil
}

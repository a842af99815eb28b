package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// door is a vocabulary: a prefix, and what is served below it.
type door uint8

const (
	doorAdmin door = 1 << iota // /rustfs/admin/v3/
	doorMinIO                  // /minio/admin/v3/
	doorKMS                    // /minio/kms/v1/

	doorsAdmin = doorAdmin | doorMinIO
)

// prefixes are the doors' paths. It is never written to.
var prefixes = []struct {
	door door
	path string
}{{doorAdmin, "/rustfs/admin/v3/"}, {doorMinIO, "/minio/admin/v3/"}, {doorKMS, "/minio/kms/v1/"}}

// Reserved reports whether a path, as sent, belongs to the administration, whether or not something is served there.
func Reserved(path string) bool {
	return strings.HasPrefix(path, "/rustfs/admin/") || strings.HasPrefix(path, "/minio/admin/") || strings.HasPrefix(path, "/minio/kms/")
}

// route says which handler serves a request. The first row that fits wins; a last segment in braces fits any segment.
type route struct {
	doors  door
	method string
	path   string // below the prefix
	op     string
	handle func(*API, context.Context, *call) (any, error)
}

// routes is the API. It is never written to.
var routes = []route{
	{doorsAdmin, "POST", "kms/key/create", "CreateKey", (*API).createKey},
	{doorsAdmin, "POST", "kms/create-key", "CreateKey", (*API).createKey},
	{doorsAdmin, "GET", "kms/key/status", "KeyStatus", (*API).keyStatus},
	{doorsAdmin, "GET", "kms/describe-key", "KeyStatus", (*API).keyStatus},
	{doorsAdmin, "GET", "kms/key/list", "ListKeys", (*API).listKeys},
	{doorsAdmin, "PUT", "kms/key/enable", "EnableKey", (*API).ensureKey},
	{doorsAdmin, "PUT", "kms/key/disable", "DisableKey", (*API).disableKeyOfDocument},
	{doorsAdmin, "POST", "kms/key/rotate", "RotateKey", (*API).rotateKey},
	{doorsAdmin, "DELETE", "kms/key/delete", "DeleteKey", (*API).deleteKey},

	{doorsAdmin, "POST", "kms/configure", "ConfigureKMS", (*API).configure},
	{doorsAdmin, "POST", "kms/reconfigure", "ReconfigureKMS", (*API).reconfigure},
	{doorsAdmin, "POST", "kms/start", "StartKMS", (*API).start},
	{doorsAdmin, "POST", "kms/stop", "StopKMS", (*API).stop},
	{doorsAdmin, "GET", "kms/status", "KMSStatus", (*API).status},
	{doorsAdmin, "POST", "kms/status", "KMSStatus", (*API).status},
	{doorsAdmin, "GET", "kms/service-status", "KMSServiceStatus", (*API).serviceStatus},
	{doorsAdmin, "GET", "kms/config", "KMSConfig", (*API).kmsConfig},
	{doorsAdmin, "POST", "kms/clear-cache", "ClearCache", (*API).clearCache},

	{doorsAdmin, "DELETE", "kms/instances/{id}", "RemoveInstance", (*API).removeInstance},

	{doorsAdmin, "POST", "kms/rewrap", "Rewrap", (*API).rewrap},
	{doorsAdmin, "POST", "kms/rewrap-bucket", "RewrapBucket", (*API).rewrapBucket},
	{doorsAdmin, "POST", "kms/rewrap-jobs", "StartRewrapJob", (*API).startRewrapJob},
	{doorsAdmin, "GET", "kms/rewrap-jobs", "ListRewrapJobs", (*API).listRewrapJobs},
	{doorsAdmin, "POST", "kms/rewrap-jobs/pause", "PauseRewrapJob", (*API).pauseRewrapJob},
	{doorsAdmin, "POST", "kms/rewrap-jobs/resume", "ResumeRewrapJob", (*API).resumeRewrapJob},
	{doorsAdmin, "POST", "kms/rewrap-jobs/cancel", "CancelRewrapJob", (*API).cancelRewrapJob},
	{doorsAdmin, "GET", "kms/rewrap-jobs/{bucket}", "DescribeRewrapJob", (*API).describeRewrapJob},
	{doorsAdmin, "GET", "kms/census", "Census", (*API).census},
	{doorsAdmin, "GET", "kms/inspect", "Inspect", (*API).inspect},
	{doorsAdmin, "POST", "kms/generate-data-key", "GenerateDataKey", (*API).generateDataKey},

	{doorsAdmin, "GET", "kms/list-keys", "ListKeys", (*API).listKeyPage},
	{doorsAdmin, "POST", "kms/keys", "CreateKey", (*API).createKeyWith},
	{doorsAdmin, "GET", "kms/keys", "ListKeys", (*API).listKeyPage},
	{doorsAdmin, "DELETE", "kms/keys/delete", "DeleteKey", (*API).deleteKey},
	{doorsAdmin, "POST", "kms/keys/cancel-deletion", "CancelDeletion", (*API).cancelDeletion},
	{doorsAdmin, "POST", "kms/keys/enable", "EnableKey", (*API).enableKey},
	{doorsAdmin, "POST", "kms/keys/disable", "DisableKey", (*API).disableKey},
	{doorsAdmin, "POST", "kms/keys/rotate", "RotateKey", (*API).rotateKeyMetadata},
	{doorsAdmin, "POST", "kms/keys/update-description", "UpdateKeyDescription", (*API).updateDescription},
	{doorsAdmin, "POST", "kms/keys/tag", "TagKey", (*API).tagKey},
	{doorsAdmin, "POST", "kms/keys/untag", "UntagKey", (*API).untagKey},
	{doorsAdmin, "POST", "kms/keys/generate-data-key", "GenerateDataKey", (*API).generateDataKey},
	{doorsAdmin, "POST", "kms/keys/max-age", "SetKeyMaxAge", (*API).setMaxAge},
	{doorsAdmin, "POST", "kms/keys/retire", "RetireKeyVersion", (*API).retireKeyVersion},
	{doorsAdmin, "POST", "kms/keys/cancel-retirement", "CancelRetirement", (*API).cancelRetirement},
	{doorsAdmin, "GET", "kms/retirements", "ListRetirements", (*API).listRetirements},
	{doorsAdmin, "GET", "kms/keys/{key_id}", "DescribeKey", (*API).describeKey},

	{doorsAdmin, "GET", "config", "Config", (*API).config},
	{doorsAdmin, "GET", "config/kms_vault/{target}", "ConfigTarget", (*API).configTarget},
	{doorsAdmin, "POST", "config/kms_vault/{target}", "SetConfigTarget", (*API).setConfigTarget},
	{doorsAdmin, "POST", "config/kms_vault_select/{target}", "SelectConfigTarget", (*API).selectConfigTarget},

	{doorsAdmin, "GET", "info", "ServerInfo", (*API).info},

	{doorKMS, "POST", "key/create", "CreateKey", (*API).mcCreateKey},
	{doorKMS, "GET", "key/status", "KeyStatus", (*API).mcKeyStatus},
	{doorKMS, "GET", "key/list", "ListKeys", (*API).mcListKeys},
	{doorKMS, "GET", "status", "KMSStatus", (*API).mcStatus},
	{doorKMS, "GET", "version", "KMSVersion", (*API).mcVersion},
}

// Route is a method and path that is served, for documents and tests.
type Route struct{ Method, Path, Op string }

// Routes lists everything that is served.
func Routes() []Route {
	var all []Route
	for _, p := range prefixes {
		for _, r := range routes {
			if r.doors&p.door != 0 {
				all = append(all, Route{Method: r.method, Path: p.path + r.path, Op: r.op})
			}
		}
	}
	return all
}

// find finds the route of a request and fills in what its path says.
func (c *call) find() (*route, error) {
	c.door = doorAdmin
	rest, served := "", false
	for _, p := range prefixes {
		if below, ok := strings.CutPrefix(c.Path, p.path); ok {
			c.door, rest, served = p.door, below, true
		}
	}
	var others []string
	for i := range routes {
		r := &routes[i]
		segment, ok := r.match(rest)
		switch {
		case !served || r.doors&c.door == 0 || !ok:
		case r.method == c.Method:
			c.segment = segment
			return r, nil
		case !slices.Contains(others, r.method):
			others = append(others, r.method)
		}
	}
	if others != nil {
		return nil, refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not allowed for this route.",
			"It takes %s.", strings.Join(others, ", "))
	}
	return nil, refuse(http.StatusNotFound, "NoSuchRoute", "There is no such administration route.", "docs/admin-api.md lists all.")
}

// match reports whether what follows the prefix, still encoded, fits, and gives the segment in braces, decoded.
func (r *route) match(rest string) (string, bool) {
	fixed, _, open := strings.Cut(r.path, "{")
	if !open {
		return "", rest == r.path
	}
	segment, ok := strings.CutPrefix(rest, fixed)
	if !ok || segment == "" || strings.Contains(segment, "/") {
		return "", false
	}
	decoded, err := url.PathUnescape(segment)
	return decoded, err == nil
}

package vaulttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is an authority with one certificate for the server and one for clients.
type pki struct {
	dir                           string
	caFile                        string
	serverCertFile, serverKeyFile string
	clientCertFile, clientKeyFile string
}

// authority signs.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newPKI writes the files into a new directory.
func newPKI() (*pki, error) {
	dir, err := os.MkdirTemp("", "vaulttest-pki-")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir}
	if err := p.fill(); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

func (p *pki) fill() error {
	a := authority{certificate: template("vaulttest authority", 1)}
	a.certificate.IsCA, a.certificate.BasicConstraintsValid = true, true
	a.certificate.KeyUsage = x509.KeyUsageCertSign
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	own, err := a.sign(a.certificate, a.key)
	if err != nil {
		return err
	}
	if p.caFile, err = p.write("ca.pem", "CERTIFICATE", own); err != nil {
		return err
	}
	server := template("vaultd", 2)
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if p.serverCertFile, p.serverKeyFile, err = p.issue(a, "server", server); err != nil {
		return err
	}
	client := template("client", 3)
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	p.clientCertFile, p.clientKeyFile, err = p.issue(a, "client", client)
	return err
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func (a authority) sign(certificate *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, certificate, a.certificate, key.Public(), a.key)
}

// issue makes a key, has it certified and writes both.
func (p *pki) issue(a authority, name string, certificate *x509.Certificate) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	signed, err := a.sign(certificate, key)
	if err != nil {
		return "", "", err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	if certFile, err = p.write(name+".pem", "CERTIFICATE", signed); err != nil {
		return "", "", err
	}
	keyFile, err = p.write(name+".key", "PRIVATE KEY", encoded)
	return certFile, keyFile, err
}

func (p *pki) write(name, kind string, der []byte) (string, error) {
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

#!/bin/sh
# Configures postfix from the environment and runs it in the foreground.
set -eu

# The container is the jail: in a second one postfix would not see the container's DNS settings.
postconf -F '*/*/chroot = n'
postconf -e \
    "myhostname = ${MAIL_HOSTNAME}" \
    "mydestination =" \
    "inet_interfaces = all" \
    "mynetworks = 127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16" \
    "smtpd_relay_restrictions = permit_mynetworks, reject" \
    "smtpd_sender_restrictions = check_sender_access inline:{${MAIL_FROM}=OK}, reject" \
    "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt" \
    "disable_vrfy_command = yes" \
    "message_size_limit = 10485760" \
    "maillog_file = /dev/stdout"

if [ -n "${SMARTHOST:-}" ]; then
    postconf -e "relayhost = ${SMARTHOST}" "smtp_tls_security_level = secure"
else
    postconf -e "relayhost =" "smtp_tls_security_level = may"
fi

if [ -n "${SMARTHOST_USER:-}" ]; then
    umask 077
    printf '%s %s:%s\n' "${SMARTHOST}" "${SMARTHOST_USER}" "${SMARTHOST_PASSWORD}" > /etc/postfix/smarthost
    postconf -e \
        "smtp_sasl_auth_enable = yes" \
        "smtp_sasl_password_maps = texthash:/etc/postfix/smarthost" \
        "smtp_sasl_security_options = noanonymous"
fi

exec postfix start-fg

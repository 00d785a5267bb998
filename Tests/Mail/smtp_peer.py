"""A mail server for tests: aiosmtpd, told to behave well or badly.

Says "serves on 127.0.0.1:PORT", then one line of JSON for each thing that happens:
{"mail": {...}} for a mail that it took, {"auth": LOGIN} for a log-in, {"heard": LINE} for what a raw server was told.
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(thing):
    print(json.dumps(thing), flush=True)


class Handler:
    def __init__(self, options):
        self.options = options
        self.refused_once = 0

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        if self.options.behave == "mail-550":
            return "550 5.7.1 sender not wanted here"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in self.options.refuse:
            return "550 5.1.1 no such mailbox"
        if address in self.options.later:
            return "451 4.2.0 mailbox busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.options.behave == "data-554":
            return "554 5.6.0 message not wanted"
        if self.refused_once < self.options.busy:
            self.refused_once += 1
            say({"busy": self.refused_once})
            return "452 4.3.1 out of storage, try again later"
        if self.options.before_answer:
            say({"holding": envelope.rcpt_tos})
            await asyncio.sleep(self.options.before_answer)
        say({
            "mail": {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "text": envelope.content.decode("utf-8", "replace"),
                "encrypted": server.transport.get_extra_info("ssl_object") is not None,
                "login": session.auth_data.login.decode() if session.auth_data else None,
            }
        })
        return "250 OK taken"


def authenticator(login):
    name, password = login.split(":", 1)

    def check(server, session, envelope, mechanism, data):
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        say({"auth": data.login.decode("utf-8", "replace")})
        if data.login != name.encode() or data.password != password.encode():
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=data)

    return check


async def raw(options, reader, writer):
    """A server that does not go by the book."""

    async def tell(text):
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    try:
        if options.behave == "close":
            return
        if options.behave == "greet-554":
            await tell("554 5.3.2 no mail here today")
        if options.behave == "stall":
            for byte in b"220 " + b"x" * 3600 + b"\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        if options.behave == "starttls-454":
            await tell("220 ready")
        while line := await reader.readline():
            text = line.decode("utf-8", "replace").strip()
            say({"heard": text})
            word = text.split(" ")[0].upper()
            if word == "EHLO":
                await tell("250-peer\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS")
            elif word == "STARTTLS":
                await tell("454 4.7.0 TLS not available due to a temporary reason")
            elif word == "QUIT":
                await tell("221 bye")
                return
            else:
                await tell("250 OK")
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--login", help="NAME:PASSWORD that is let in")
    parser.add_argument("--refuse", action="append", default=[], help="an address that does not exist")
    parser.add_argument("--later", action="append", default=[], help="an address that is always busy")
    parser.add_argument("--busy", type=int, default=0, help="refuse so many mails for now")
    parser.add_argument("--before-answer", type=float, default=0, help="seconds to hold a mail unanswered")
    parser.add_argument(
        "--behave", default="well",
        choices=["well", "mail-550", "data-554", "close", "greet-554", "stall", "starttls-454"])
    options = parser.parse_args()

    context = None
    if options.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)

    loop = asyncio.get_running_loop()
    if options.behave in ("close", "greet-554", "stall", "starttls-454"):
        server = await asyncio.start_server(
            lambda reader, writer: raw(options, reader, writer), options.host, options.port)
    else:
        def protocol():
            return SMTP(
                Handler(options), hostname="peer.test", loop=loop, ident="peer",
                tls_context=context if options.tls == "starttls" else None,
                require_starttls=options.tls == "starttls",
                authenticator=authenticator(options.login) if options.login else None,
                auth_required=bool(options.login), auth_require_tls=False)

        server = await loop.create_server(
            protocol, options.host, options.port,
            ssl=context if options.tls == "implicit" else None)
    print(f"serves on {options.host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)

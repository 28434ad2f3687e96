"""An OpenID provider (PyPI oidc-provider-mock), with its own pages, on the socket that is its standard input. Prints `ready`.

python3 openid_provider.py '{"sub": …, …}' <&socket, with a person's claims
"""

import json
import os
import socket
import sys

import uvicorn
from oidc_provider_mock import User, app

claims = json.loads(sys.argv[1])
person = User(sub=claims.pop("sub"), claims=claims)

# The library behind it refuses http otherwise.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
provider = app(require_client_registration=True, require_nonce=True, user_claims=[person])
server = uvicorn.Server(uvicorn.Config(provider, interface="wsgi", log_level="warning"))
print("ready", flush=True)
server.run(sockets=[socket.socket(fileno=0)])

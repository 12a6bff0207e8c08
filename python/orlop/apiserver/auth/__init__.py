"""Who may do what: authentication, impersonation, authorization, tokens and the bootstrap policy.

A request passes `Authenticator.authenticate`, `impersonate`, and `Authorizer.require`, in this order.
"""

from orlop.apiserver.auth.attributes import (
    Access as Access,
    Attributes as Attributes,
    Decision as Decision,
    forbidden as forbidden,
)
from orlop.apiserver.auth.authenticator import LOCAL_USER as LOCAL_USER, Authenticator as Authenticator
from orlop.apiserver.auth.authorizer import Authorizer as Authorizer
from orlop.apiserver.auth.impersonate import impersonate as impersonate
from orlop.apiserver.auth.tokenfile import TokenFile as TokenFile, TokenFileError as TokenFileError
from orlop.apiserver.auth.tokens import (
    ISSUER as ISSUER,
    ServiceAccountTokens as ServiceAccountTokens,
    TokenError as TokenError,
)
from orlop.apiserver.auth.user import ANONYMOUS as ANONYMOUS, User as User

"""The Swagger 2.0 document of the root path."""

from pgmq_gateway.openapi.swagger import document


def test_a_token_is_described_if_security_is_active() -> None:
    assert "securityDefinitions" not in document([], "1", "http://localhost:3000/")
    secured = document([], "1", "http://localhost:3000/", secured=True)
    (requirement,) = secured["security"]
    assert secured["securityDefinitions"].keys() == requirement.keys()
    token = secured["securityDefinitions"]["JWT"]
    assert (token["type"], token["in"], token["name"]) == ("apiKey", "header", "Authorization")

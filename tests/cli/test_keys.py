"""What do `gonogo keys add | list | revoke` print?"""

from __future__ import annotations

import json

from gonogo.cli.main import main
from gonogo.serving.keys import KeyRing
from gonogo.serving.places import Places


def test_a_key_is_made_listed_and_taken_back(tmp_path, capsys):
    assert main(["keys", "add", "shop", "--scope", "predict", "--scope", "outcomes", "--folder", str(tmp_path)]) == 0
    secret = capsys.readouterr().out.strip()
    assert KeyRing(Places.of(tmp_path).keys).find(secret.encode(), 0).name == "shop"
    assert main(["keys", "list", str(tmp_path), "--json"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told)[0]["scopes"] == ["predict", "outcomes"]
    assert secret not in told
    assert main(["keys", "list", str(tmp_path)]) == 0
    assert "shop" in capsys.readouterr().out
    assert main(["keys", "revoke", "shop", "--folder", str(tmp_path)]) == 0
    assert KeyRing(Places.of(tmp_path).keys).find(secret.encode(), 0) is None


def test_a_folder_without_keys_says_what_to_do(tmp_path, capsys):
    assert main(["keys", "list", str(tmp_path)]) == 0
    assert "gonogo keys add" in capsys.readouterr().out


def test_a_key_that_is_not_there_and_a_name_that_is_taken_are_usage_errors(tmp_path, capsys):
    assert main(["keys", "revoke", "shop", "--folder", str(tmp_path)]) == 2
    main(["keys", "add", "shop", "--scope", "predict", "--folder", str(tmp_path)])
    assert main(["keys", "add", "shop", "--scope", "predict", "--folder", str(tmp_path)]) == 2
    assert "GNG-H005" in capsys.readouterr().err


def test_an_unknown_scope_is_refused_by_name(tmp_path, capsys):
    assert main(["keys", "add", "shop", "--scope", "all", "--folder", str(tmp_path)]) == 2
    assert "predict" in capsys.readouterr().err

"""Tests of the plain operations."""

import unittest

from calc.arithmetic import add


class ArithmeticTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)
